"""Pretrained weights: what fits is loaded to the last bit, what does not is told, a head of other classes is new."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from timm import models as timm_models
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchvision import models as torchvision

from damaged import damaged, read_or_fault
from impasto.errors import ImpastoError
from impasto.models.torchvision_vit import is_from_torchvision, to_timm
from impasto.models.weights import put_weights, read_weights

PATH = Path("weights.pth")


def network(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(OrderedDict(body=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), head=nn.Linear(4, classes)))


def state(classes: int = 3, seed: int = 0) -> dict[str, Tensor]:
    """Every value differs from what a fresh network has."""
    g = torch.Generator().manual_seed(seed)
    random = {k: torch.rand(v.shape, generator=g) for k, v in network(classes).state_dict().items()}
    return random | {"norm.num_batches_tracked": torch.tensor(7)}


def write(path: Path, content: Any) -> Path:
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_tensors_come_back(tmp_path: Path, name: str) -> None:
    found = read_weights(write(tmp_path / name, state()))
    assert found.keys() == state().keys() and all(torch.equal(found[k], v) for k, v in state().items())


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_training_checkpoint_holds_them_one_level_down(tmp_path: Path, key: str) -> None:
    wrapped = {f"module.{name}": value for name, value in state().items()}
    found = read_weights(write(tmp_path / "a.pth", {key: wrapped, "epoch": 3}))
    assert found.keys() == state().keys()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.safetensors", b""), ("a.safetensors", b"none"), ("a.pth", b""), ("a.pth", b"none"),
        ("a.pth", pickle.dumps(print, protocol=2)), ("a.pth", [1, 2]), ("a.pth", {"a": 1}), ("a.pth", torch.zeros(2)),
    ],
)  # fmt: skip
def test_what_is_no_weights(tmp_path: Path, name: str, content: Any) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ImpastoError, match=r"model\.weights: .* cannot be read: .+ null to start") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def stored(zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(2, 3), "b": torch.zeros(1)}, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


OLD, NEW = stored(zipped=False), stored(zipped=True)


@pytest.mark.parametrize("content", [OLD[:28], OLD[:49], b"." + NEW[1:]], ids=["struct", "index", "stack"])
def test_damage_that_torch_itself_does_not_expect(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ImpastoError, match=r"a.pth cannot be read: .+ null to start") as caught:
        read_weights(tmp_path / "a.pth")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@settings(max_examples=40)
@given(st.one_of(damaged(OLD), damaged(NEW)))
def test_damage_is_an_error_that_can_be_mended_or_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.pth"
    found = read_or_fault(path, content, read_weights)
    told = isinstance(found, str) and found.startswith(f"model.weights: {path} cannot be read: ")
    assert told or (isinstance(found, dict) and all(isinstance(value, Tensor) for value in found.values()))


@pytest.mark.filterwarnings("ignore:Validating sparse")
@pytest.mark.parametrize("other", [torch.zeros(4, 3).to_sparse(), torch.zeros(4, 3, device="meta")])
def test_tensors_without_entries_are_refused(tmp_path: Path, other: Tensor) -> None:
    with pytest.raises(ImpastoError, match="no mapping of names to tensors"):
        read_weights(write(tmp_path / "a.pth", {"a": other}))


class Trap:
    """Unpickling one leaves a file behind."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pth", {"a": torch.zeros(1), "b": Trap(tmp_path / "sprung")})
    with pytest.raises(ImpastoError, match="cannot be read"):
        read_weights(path)
    assert not (tmp_path / "sprung").exists()


def test_timm_is_told_to_execute_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trap above is also safe by the default of newer versions of timm; older ones that we allow execute it."""
    told: list[dict[str, Any]] = []
    real = timm_models.load_state_dict
    monkeypatch.setattr(timm_models, "load_state_dict", lambda *a, **k: (told.append(k), real(*a, **k))[1])
    assert read_weights(write(tmp_path / "a.pth", state())).keys() == state().keys()
    assert told == [{"weights_only": True}]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImpastoError, match="is no file"):
        read_weights(tmp_path / "a.pth")


def test_everything_is_loaded_when_the_classes_are_the_same() -> None:
    model = network()
    assert put_weights(model, state(), ["head"], PATH) is None
    assert all(torch.equal(value, state()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("drop", "classes"), [(False, 5), (True, 0)])
def test_a_head_of_other_classes_or_none_is_drawn_anew(drop: bool, classes: int) -> None:
    model, tensors = network(400), {k: v for k, v in state(5).items() if not (drop and k.startswith("head"))}
    torch.manual_seed(1)
    assert put_weights(model, tensors, ["head"], PATH) == classes
    assert all(torch.equal(v, state(5)[k]) for k, v in model.state_dict().items() if not k.startswith("head"))
    weight, bound = model.head.weight, (6 / (4 + 400)) ** 0.5
    assert weight.abs().max() <= bound and weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert not model.head.bias.any()
    again = network(400)
    torch.manual_seed(1)
    put_weights(again, tensors, ["head"], PATH)
    assert torch.equal(again.head.weight, weight)


def test_a_body_that_does_not_fit_is_refused() -> None:
    for change, fault in (
        ({"body.weight": torch.zeros(4, 3, 5, 5)}, r"body.weight is \[4, 3, 5, 5\], expected \[4, 3, 3, 3\]"),
        ({"extra.weight": torch.zeros(1)}, "extra.weight is unknown"),
        ({"norm.running_mean": None}, "norm.running_mean is missing"),
    ):
        tensors = {name: value for name, value in (state(5) | change).items() if value is not None}
        model = network()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with pytest.raises(ImpastoError, match=fault):
            put_weights(model, tensors, ["head"], PATH)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_torchvisions_vision_transformer_is_timms() -> None:
    torch.manual_seed(0)
    theirs = torchvision.VisionTransformer(32, 8, 2, 2, 16, 24, num_classes=6)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)  # torchvision's head starts at zero
    ours = VisionTransformer(32, 8, num_classes=6, embed_dim=16, depth=2, num_heads=2, mlp_ratio=1.5)
    assert is_from_torchvision(theirs.state_dict()) and not is_from_torchvision(ours.state_dict())
    ours.load_state_dict(to_timm(theirs.state_dict()))
    x = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_the_names_in_torchvisions_published_file() -> None:
    """It was written when the layers of the perceptron had names of their own; torchvision renames them on loading."""
    names = {"encoder.layers.encoder_layer_11.mlp.linear_1.weight": "blocks.11.mlp.fc1.weight"}
    names |= {"encoder.layers.encoder_layer_3.mlp.linear_2.bias": "blocks.3.mlp.fc2.bias", "else.weight": "else.weight"}
    assert list(to_timm(dict.fromkeys(names, torch.zeros(0)))) == list(names.values())
