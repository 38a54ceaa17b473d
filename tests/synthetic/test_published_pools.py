"""Published pools: downloaded once, pinned, converted; and files of one's own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from file_server import Web, serve
from impasto.config.dataset import NATIVE
from impasto.config.synthetic import POOLS
from impasto.data import remote
from impasto.data.images import Images
from impasto.data.pinned import pin_of
from impasto.data.remote import Remote
from impasto.errors import ImpastoError
from impasto.synthetic import published
from impasto.synthetic.published import PUBLISHED, Pool, convert_pool

LIKE = Images(np.empty((0, 3, 8, 8), np.uint8), np.empty(0, np.int64), ("a", "b", "c"), "test")


def pool(n: int = 48, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    image = np.random.default_rng(seed).integers(256, size=(n, 8, 8, 3), dtype=np.uint8)
    np.savez(buffer, image=image, label=np.sort(np.arange(n) % 3))
    return buffer.getvalue()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as found:
        found.files = {"/1m.npz": pool()}
        one = Pool(Remote("edm-3-1m.npz", (f"{found.address}/1m.npz",)), 48, True)
        monkeypatch.setattr(published, "PUBLISHED", {"edm-3": one})
        yield found


def test_a_name_is_downloaded_pinned_and_converted(web: Web, root: Path) -> None:
    for target in ("one", "two"):
        convert_pool("edm-3", LIKE, root / target)
        found = Images.load(root / target)
        assert found.counts() == {"a": 16, "b": 16, "c": 16} and found.source == "npz file edm-3-1m.npz"
        want = np.load(io.BytesIO(web.files["/1m.npz"]))
        assert np.array_equal(found.pixels.transpose(0, 2, 3, 1), want["image"])
    file = root / "data" / "official" / "edm-3-1m.npz"
    assert len(web.asked) == 1 and pin_of(file).exists()


def test_a_file_that_changed_is_refused(web: Web, root: Path) -> None:
    """Nobody publishes a checksum; what the first download was is known all the same."""
    convert_pool("edm-3", LIKE, root / "one")
    file = root / "data" / "official" / "edm-3-1m.npz"
    file.unlink()
    web.files["/1m.npz"] = pool(seed=1)
    with pytest.raises(ImpastoError, match=r"edm-3-1m.npz has sha256 [0-9a-f]{64}, but edm-3-1m.npz.pin.json says"):
        convert_pool("edm-3", LIKE, root / "two")
    assert not (root / "two").exists()


def test_a_web_page_in_the_place_of_the_file_is_not_pinned(web: Web, root: Path) -> None:
    """A server answers 200 with a page; when the right file comes later, it is taken."""
    right, web.files["/1m.npz"] = web.files["/1m.npz"], b"<html>\nLog in</html>" * 99
    file = root / "data" / "official" / "edm-3-1m.npz"
    with pytest.raises(ImpastoError, match=r"edm-3-1m.npz cannot be read: .* begins with b'<html>.* delete it"):
        convert_pool("edm-3", LIKE, root / "one")
    assert file.exists() and not pin_of(file).exists()
    file.unlink()
    web.files["/1m.npz"] = right
    convert_pool("edm-3", LIKE, root / "one")
    assert pin_of(file).exists() and len(Images.load(root / "one")) == 48


def test_another_number_of_images(web: Web, root: Path) -> None:
    web.files["/1m.npz"] = pool(51)
    with pytest.raises(ImpastoError, match="has 51 images, expected 48"):
        convert_pool("edm-3", LIKE, root / "one")
    assert not list(root.rglob("*.pin.json"))


def test_a_path_is_taken_from_the_main_workspace(
    web: Web, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (root / "mine.npz").write_bytes(pool(9))
    monkeypatch.chdir(tmp_path_factory.mktemp("experiment"))
    convert_pool("mine.npz", LIKE, root / "one")
    assert len(Images.load(root / "one")) == 9 and web.asked == []
    assert not pin_of(root / "mine.npz").exists(), "your own files may change"


def test_the_published_values() -> None:
    assert PUBLISHED.keys() == POOLS.keys() and set(POOLS.values()) == set(NATIVE)
    assert {one.count for one in PUBLISHED.values()} == {1_000_000}
    names = [one.remote.name for one in PUBLISHED.values()]
    assert len(set(names)) == 3, "one folder holds them all"
    assert all(url.startswith("https://") for one in PUBLISHED.values() for url in one.remote.urls)
