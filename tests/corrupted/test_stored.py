"""Corrupted sets read back: both layouts, and every way in which files can be wrong."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.corrupted.agreement import require_labels
from impasto.corrupted.layout import ORDER
from impasto.corrupted.make import plan, regenerate
from impasto.corrupted.published import PUBLISHED, Published
from impasto.corrupted.stored import StoredSet
from impasto.corruptions.sets import C19
from impasto.data.checked import LEDGER
from impasto.data.image_folder import ImageFolder
from impasto.data.images import Images
from impasto.errors import ImpastoError
from tiny import CPU, pictures

N, SIDE = 6, 8
LABELS = np.array([0, 1, 2, 0, 1, 2])


def blocks(name: str) -> np.ndarray:
    """Five severities of six images; each value tells corruption, severity and row."""
    base = len(name) * 4 % 100
    values = base + np.arange(5 * N).reshape(-1, 1, 1, 1)
    return np.broadcast_to(values, (5 * N, SIDE, SIDE, 3)).astype(np.uint8)


def npy_set(root: Path, *names: str, labels: np.ndarray | None = None) -> Path:
    root.mkdir(parents=True)
    np.save(root / "labels.npy", np.tile(LABELS, 5).astype(np.uint8) if labels is None else labels)
    for name in names:
        np.save(root / f"{name}.npy", blocks(name))
    return root


def folder_set(root: Path, *names: str, classes: tuple[str, ...] = ("n03", "n01", "n02"), each: int = 2) -> Path:
    for name in names:
        for severity in range(1, 6):
            for place, label in enumerate(classes):
                folder = root / name / str(severity) / label
                folder.mkdir(parents=True)
                for row in range(each):
                    grey = np.full((SIDE, SIDE, 3), 40 * place + 8 * severity + row, np.uint8)
                    Image.fromarray(grey).save(folder / f"test_{row}.JPEG", quality=95)
    return root


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set in a folder named CIFAR-10-C that has the checksums which are said to be published."""
    root = npy_set(tmp_path / "CIFAR-10-C", "fog", "snow")
    (root / "README.txt").write_text("of the authors")
    md5 = {p.name: hashlib.md5(p.read_bytes()).hexdigest() for p in root.glob("*.npy")}
    small = replace(PUBLISHED["cifar10-c"], names=("fog", "snow"), md5=md5)
    monkeypatch.setitem(PUBLISHED, "cifar10-c", small)
    return root


@pytest.fixture
def tin(monkeypatch: pytest.MonkeyPatch) -> Published:
    """A published set of folders with three classes of two images."""
    small = replace(PUBLISHED["tiny-imagenet-c"], names=("fog",), shape=(N, SIDE, SIDE), classes=3)
    monkeypatch.setitem(PUBLISHED, "tiny-imagenet-c", small)
    return small


def test_arrays_are_mapped_block_by_block(tmp_path: Path) -> None:
    found = StoredSet(npy_set(tmp_path / "set", "snow", "fog", "my_own"))
    assert found.names == ("snow", "fog", "my_own"), "in the order of the benchmark, others last"
    assert (found.layout, found.severities, found.origin) == ("npy", (1, 2, 3, 4, 5), "unverified")
    for severity in found.severities:
        images = found.open("fog", severity)
        assert isinstance(images, np.memmap) and images.shape == (N, SIDE, SIDE, 3) and not images.flags.writeable
        assert np.array_equal(images, blocks("fog")[(severity - 1) * N : severity * N])
        labels = found.labels("fog", severity)
        assert labels.dtype == np.int64 and np.array_equal(labels, LABELS)


def test_folders_are_decoded_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = StoredSet(folder_set(tmp_path / "set", "fog", "frost"))
    assert (found.names, found.layout) == (("frost", "fog"), "folders")
    images = found.open("fog", 3)
    assert isinstance(images, ImageFolder) and images.shape == (N, SIDE, SIDE, 3) and len(images) == N
    assert images.classes == ("n01", "n02", "n03") and images.labels.tolist() == [0, 0, 1, 1, 2, 2]
    want = [64, 65, 104, 105, 24, 25]  # n01 was made second, n02 third, n03 first
    batch = images[:]
    assert batch.dtype == np.uint8 and batch[:, 0, 0, 0].tolist() == want
    assert images[1:4][:, 0, 0, 0].tolist() == want[1:4] and images[4:9].shape[0] == 2
    assert images[np.array([5, 0])][:, 0, 0, 0].tolist() == [want[5], want[0]]
    decoded: list[Path] = []
    real = Image.open
    monkeypatch.setattr("impasto.data.image_folder.Image.open", lambda file: (decoded.append(file), real(file))[1])
    images[2:4]
    assert len(decoded) == 2


def test_a_grey_file_is_made_rgb(tmp_path: Path) -> None:
    root = folder_set(tmp_path / "set", "fog")
    Image.new("L", (SIDE, SIDE), 7).save(root / "fog" / "1" / "n01" / "test_0.JPEG")
    assert (StoredSet(root).open("fog", 1)[:][0] == 7).all()


def test_another_name_of_blue_noise_sample(tmp_path: Path) -> None:
    found = StoredSet(npy_set(tmp_path / "set", "blue_noise", "lines"))
    assert found.names == ("blue_noise_sample", "lines")
    assert np.array_equal(found.open("blue_noise_sample", 2), blocks("blue_noise")[N : 2 * N])
    np.save(tmp_path / "set" / "blue_noise_sample.npy", blocks("other"))
    assert np.array_equal(StoredSet(tmp_path / "set").open("blue_noise_sample", 1), blocks("other")[:N])


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.int32])
def test_labels_of_any_integer_type(tmp_path: Path, kind: type) -> None:
    found = StoredSet(npy_set(tmp_path / "set", "fog", labels=np.tile(LABELS, 5).astype(kind)))
    require_labels(found, LABELS)
    assert found.labels("fog", 5).dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (LABELS, r"labels.npy holds int64 \[6\], expected \[30\]"),
        (np.tile(LABELS, 5).astype(np.float32), "labels.npy holds float32"),
        (np.tile(LABELS, 10).reshape(-1, 2), r"labels.npy holds int64 \[30, 2\]"),
        (np.append(np.tile(LABELS, 5)[:-1], 0), "labels.npy differs from severity to severity"),
    ],
)
def test_wrong_labels(tmp_path: Path, labels: np.ndarray, told: str) -> None:
    with pytest.raises(ImpastoError, match=told):
        StoredSet(npy_set(tmp_path / "set", "fog", labels=labels)).labels("fog", 1)


def test_labels_are_held_against_the_clean_ones(tmp_path: Path) -> None:
    arrays = StoredSet(npy_set(tmp_path / "a", "fog"))
    folders = StoredSet(folder_set(tmp_path / "f", "fog"))
    for found in (arrays, folders):
        require_labels(found, LABELS)
        with pytest.raises(ImpastoError, match=r"holds 6 images, the clean set 5"):
            require_labels(found, LABELS[:5])
        with pytest.raises(ImpastoError, match=r"shows class \d where the clean set has \d \(image \d\)"):
            require_labels(found, np.array([0, 1, 2, 0, 1, 1]))
    with pytest.raises(ImpastoError, match=r"labels.npy shows class 0 where the clean set has 1 \(image 0\)"):
        require_labels(arrays, np.array([1, 0, 2, 0, 1, 2]))
    require_labels(folders, LABELS[::-1])


def test_a_set_is_named_by_a_path_or_by_text(tmp_path: Path) -> None:
    root = npy_set(tmp_path / "set", "fog")
    for named in (root, str(root)):
        found = StoredSet(named)
        assert found.root == root and np.array_equal(found.open("fog", 2), blocks("fog")[N : 2 * N])
        assert len(found.labels("fog", 2)) == N
    with pytest.raises(ImpastoError, match="none holds no corrupted test set"):
        StoredSet(str(tmp_path / "none"))


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "empty" / "train").mkdir(parents=True)
    for root in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(ImpastoError, match=rf"{root.name} holds no corrupted test set"):
            StoredSet(root)


def test_what_is_asked_for_is_not_there(tmp_path: Path) -> None:
    found = StoredSet(npy_set(tmp_path / "set", "fog"))
    for name, severity, told in (
        ("snow", 1, r"snow.npy does not exist"),
        ("foggy", 1, r"has no 'foggy'.*Did you mean 'fog'"),
        ("FOG", 1, r"has no 'FOG'.*Did you mean 'fog'"),
        ("moss", 1, r"has no 'moss'.*It has fog"),
        ("fog", 6, r"has no severity 6.*It has 1, 2, 3, 4, 5"),
    ):
        with pytest.raises(ImpastoError, match=told):
            found.open(name, severity)
    (tmp_path / "set" / "labels.npy").unlink()
    with pytest.raises(ImpastoError, match=r"labels.npy does not exist"):
        found.labels("fog", 1)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def head_only(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize("spoil", [truncate, head_only, lambda path: path.write_bytes(b""), Path.unlink])
def test_a_spoilt_array_is_named(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    root = npy_set(tmp_path / "set", "fog", "snow")
    found = StoredSet(root)
    spoil(root / "fog.npy")
    with pytest.raises(ImpastoError, match=r"fog.npy (is truncated or no array|does not exist)"):
        found.open("fog", 1)
    assert len(found.open("snow", 1)) == N


@pytest.mark.parametrize(
    "array",
    [np.zeros((30, 8, 8, 3), np.float32), np.zeros((30, 3, 8, 8), np.uint8), np.zeros((29, 8, 8, 3), np.uint8)],
)
def test_other_arrays(tmp_path: Path, array: np.ndarray) -> None:
    root = npy_set(tmp_path / "set")
    np.save(root / "fog.npy", array)
    with pytest.raises(ImpastoError, match=r"fog.npy holds .* expected uint8 \[severities x N, H, W, 3\]"):
        StoredSet(root).open("fog", 1)


def test_published_checksums_are_required(known: Path) -> None:
    found = StoredSet(known)
    assert found.origin == "official"
    found.verify()
    wrong = blocks("fog").copy()
    wrong[3, 0, 0, 0] ^= 1
    np.save(known / "fog.npy", wrong)
    digests = hashlib.md5((known / "fog.npy").read_bytes()).hexdigest(), PUBLISHED["cifar10-c"].md5["fog.npy"]
    for ask in (lambda: found.open("fog", 1), found.verify, lambda: require_labels(found, LABELS)):
        with pytest.raises(ImpastoError, match=rf"fog.npy has md5 {digests[0]}, expected {digests[1]}"):
            ask()
    assert len(found.open("snow", 1)) == N
    np.save(known / "labels.npy", np.tile(LABELS, 5))
    with pytest.raises(ImpastoError, match=r"labels.npy has md5"):
        StoredSet(known).labels("snow", 1)


def test_a_published_set_must_be_complete_and_hold_nothing_else(known: Path) -> None:
    np.save(known / "frost.npy", blocks("frost"))
    with pytest.raises(ImpastoError, match=r"frost.npy has md5 .*no such file is published"):
        StoredSet(known).verify()
    (known / "frost.npy").unlink()
    (known / "snow.npy").unlink()
    with pytest.raises(ImpastoError, match=r"snow.npy does not exist"):
        StoredSet(known).verify()


def test_files_are_hashed_once(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    StoredSet(known).verify()
    assert (known / LEDGER).exists()
    monkeypatch.setattr("impasto.data.checked.hashlib.file_digest", lambda *_: pytest.fail("hashed again"))
    StoredSet(known).verify()


def test_a_published_set_in_a_folder_of_another_name(known: Path) -> None:
    other = known.rename(known.with_name("mine"))
    assert StoredSet(other).origin == "unverified"
    found = StoredSet(other, PUBLISHED["cifar10-c"])
    assert found.origin == "official"
    truncate(other / "fog.npy")
    with pytest.raises(ImpastoError, match=r"fog.npy has md5"):
        found.open("fog", 1)


def test_checksums_are_known_for_every_file_of_cifar() -> None:
    for key, folder in (("cifar10-c", "CIFAR-10-C"), ("cifar100-c", "CIFAR-100-C")):
        one = PUBLISHED[key]
        assert one.folder == folder and set(one.md5) == {f"{name}.npy" for name in (*C19, "labels")}
        assert all(len(value) == 32 and int(value, 16) for value in one.md5.values())
    every = [value for one in PUBLISHED.values() for value in one.md5.values()]
    assert len(set(every)) == len(every) == 40
    urls = [url for one in PUBLISHED.values() for archive in one.archives for url in archive.urls]
    assert len(set(urls)) == len(urls) == 4 and all(url.startswith("https://zenodo.org/records/") for url in urls)


def test_folders_of_a_published_set(tmp_path: Path, tin: Published) -> None:
    root = folder_set(tmp_path / "Tiny-ImageNet-C", "fog")
    assert StoredSet(root).origin == "unverified", "no archive is known to have been checked"
    StoredSet(root).verify()
    (root / "fog" / "4" / "n02" / "test_1.JPEG").unlink()
    with pytest.raises(ImpastoError, match=r"fog/4/n02 holds 1 images, Tiny-ImageNet-C has 2"):
        StoredSet(root).verify()
    shutil.rmtree(root / "fog" / "4" / "n02")
    with pytest.raises(ImpastoError, match=r"fog/4 holds 2 classes, Tiny-ImageNet-C has 3"):
        StoredSet(root).verify()
    shutil.rmtree(root / "fog" / "4")
    with pytest.raises(ImpastoError, match=r"fog/4 does not exist"):
        StoredSet(root).verify()


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    root = folder_set(tmp_path / "set", "fog")
    file = root / "fog" / "2" / "n03" / "test_1.JPEG"
    whole = file.read_bytes()
    for spoilt in (whole[: len(whole) // 2], b"", b"no image"):
        file.write_bytes(spoilt)
        with pytest.raises(ImpastoError, match=r"n03/test_1.JPEG cannot be read as an image"):
            StoredSet(root).open("fog", 2)[:]
    Image.new("RGB", (SIDE + 1, SIDE)).save(file)
    with pytest.raises(ImpastoError, match=r"n03/test_1.JPEG has 9x8 pixels, the first image 8x8"):
        StoredSet(root).open("fog", 2)[:]
    shutil.rmtree(root / "fog" / "2")
    (root / "fog" / "2" / "n01").mkdir(parents=True)
    with pytest.raises(ImpastoError, match=r"fog/2 holds no images"):
        StoredSet(root).open("fog", 2)


@pytest.mark.parametrize("name", ["n04", "n01/test_9.JPEG"])
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, name: str) -> None:
    root = folder_set(tmp_path / "set", "fog")
    (root / "fog" / "2" / name).symlink_to(tmp_path / "gone")
    with pytest.raises(ImpastoError, match=rf"fog/2/{name} is a link that leads nowhere"):
        StoredSet(root).open("fog", 2)


@pytest.mark.parametrize("layout", ["npy", "folders"])
def test_a_set_that_impasto_made(tmp_path: Path, layout: str) -> None:
    clean = tmp_path / "clean"
    Images(*pictures(7), ("a", "b", "c", "d"), "made here").save(clean)
    root = tmp_path / "CIFAR-10-C"  # whatever the name says, the manifest says more
    regenerate(clean, root, ["fog", "contrast"], plan(clean, 0, "auto", (2, 4), layout), CPU)
    found = StoredSet(root)
    assert (found.origin, found.layout, found.severities) == ("regenerated", layout, (2, 4))
    assert found.names == ("fog", "contrast")
    found.verify()
    require_labels(found, np.arange(7) % 4)
    assert not np.array_equal(found.open("fog", 2)[:], found.open("fog", 4)[:])
    with pytest.raises(ImpastoError, match="has no severity 1"):
        found.open("fog", 1)
    victim = root / "fog.npy" if layout == "npy" else root / "fog" / "4" / "b" / "5.JPEG"
    truncate(victim)
    with pytest.raises(ImpastoError, match=r"fog.npy has [\d,]+ bytes, expected|fog holds 14 files of"):
        StoredSet(root).verify()
    victim.unlink()
    with pytest.raises(ImpastoError, match=r"fog.npy does not exist|fog/4/b holds 1 images, expected 2"):
        StoredSet(root).verify()


def test_a_corruption_that_the_manifest_does_not_list_is_not_finished(tmp_path: Path) -> None:
    clean = tmp_path / "clean"
    Images(*pictures(7), ("a", "b", "c", "d"), "made here").save(clean)
    regenerate(clean, tmp_path / "set", ["fog"], plan(clean, 0, "auto", (1,), "npy"), CPU)
    shutil.copy(tmp_path / "set" / "fog.npy", tmp_path / "set" / "snow.npy")
    assert StoredSet(tmp_path / "set").names == ("fog",)


def test_every_corruption_of_the_benchmarks_has_a_place() -> None:
    assert len(ORDER) == len(set(ORDER)) == 19 + 10 + 5
