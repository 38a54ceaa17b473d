"""Weights by a name: downloaded once, checked by the digits in the file's name, and where they were published."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from timm import create_model
from torchvision.models import ViT_B_16_Weights

from file_server import Web, serve
from impasto.config.model import WEIGHTS
from impasto.data import remote
from impasto.data.remote import Remote
from impasto.errors import ImpastoError
from impasto.models import pretrained
from impasto.models.from_timm import from_timm
from impasto.models.pretrained import PUBLISHED, weights_file

NAME = "torchvision-vit-b-16"


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    found: dict[str, torch.Tensor] = create_model("test_vit", num_classes=7).state_dict()
    return found


def body() -> bytes:
    stream = io.BytesIO()
    torch.save(state(), stream)
    return stream.getvalue()


@pytest.fixture
def web(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """The name stands for a small network, whose file bears the first digits of its content."""
    content = body()
    digits = hashlib.sha256(content).hexdigest()[:8]
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as found:
        found.files = {"/w": content}
        small = Remote(f"vit-{digits}.pth", (f"{found.address}/w",))
        monkeypatch.setitem(pretrained.PUBLISHED, NAME, replace(PUBLISHED[NAME], remote=small, sha256=digits))
        yield found


def test_the_name_is_torchvisions_file() -> None:
    (url,) = PUBLISHED[NAME].remote.urls
    assert url == ViT_B_16_Weights.IMAGENET1K_V1.url == "https://download.pytorch.org/models/vit_b_16-c867db91.pth"
    assert PUBLISHED[NAME].sha256 == "c867db91" and tuple(PUBLISHED) == WEIGHTS


def test_they_are_downloaded_once_and_loaded(web: Web, root: Path) -> None:
    for _ in range(2):
        found = from_timm(7, timm="test_vit", weights=NAME)["timm"].state_dict()
        assert all(torch.equal(found[f"network.{name}"], tensor) for name, tensor in state().items())
    assert len(web.asked) == 1 and weights_file(NAME).parent == root / "data" / "official"


def test_another_file_is_refused_downloaded_or_put_there(web: Web, root: Path) -> None:
    web.files["/w"] = body() + b"more"
    for _ in range(2):  # the second time it lies there
        with pytest.raises(ImpastoError, match=r"vit-\w{8}.pth has .* was published .*Delete it"):
            weights_file(NAME)


def test_anything_else_is_a_path(root: Path) -> None:
    assert weights_file("mine.pth") == root / "mine.pth" and weights_file("/a/w.pth") == Path("/a/w.pth")
