"""Archives and unpacked folders of the official layouts that are the user's: read, checked, told for what they are."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto.config.dataset import Dataset
from impasto.data.images import Images
from impasto.data.sources import cifar, tiny_imagenet
from impasto.data.sources.cifar import CIFAR10
from impasto.data.sources.registry import fetch
from impasto.errors import ImpastoError
from official_files import (
    CIFAR10_NAMES,
    WNIDS,
    cifar_arrays,
    cifar_files,
    cifar_like,
    pinned,
    tar_gz,
    tiny_files,
    tiny_like,
    write,
    zipped,
)  # fmt: skip

SIZES = {"cifar10": 32, "cifar100": 32, "tiny_imagenet": 64}
FILES: dict[str, Callable[[], dict[str, bytes]]] = {"cifar10": cifar_files, "tiny_imagenet": tiny_files}
CIFAR_FOLDER = "cifar-3-batches-py"


def dataset(root: Path | str | None, name: str = "cifar10", published: bool = False) -> Dataset:
    values = {"name": name, "root": root and str(root), "published": published, "size": SIZES[name]}
    values |= dict.fromkeys(("version", "task", "split"))
    return Dataset.model_validate(values | {"test": 0.2, "validation": 0.1, "imbalance": 1.0, "seed": 0})


@pytest.fixture(autouse=True)
def published(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published archives are others: the same layouts with other sums, and more images of every class."""
    sums = dict.fromkeys(cifar_like().files, "0" * 32)
    monkeypatch.setattr(cifar, "CIFAR10", pinned(cifar_like(each=(9, 9), md5=sums), b"another"))
    monkeypatch.setattr(tiny_imagenet, "TINY_IMAGENET", pinned(tiny_like(each=(9, 9)), b"another"))
    assert root.exists()


def pack(name: str, files: dict[str, bytes], place: Path) -> Path:
    place.write_bytes(tar_gz(files) if name == "cifar10" else zipped(files))
    return place


def unpack(files: dict[str, bytes], place: Path) -> Path:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


def same(found: tuple[Images, Images], wanted: tuple[Images, Images]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert np.array_equal(one.pixels, other.pixels) and np.array_equal(one.labels, other.labels)
        assert one.classes == other.classes


@pytest.mark.parametrize("name", FILES)
def test_an_archive_of_any_name(name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = pack(name, FILES[name](), root / "my part")
    before = sorted(root.iterdir())
    train, test = fetch(dataset("my part", name))
    told = f"not the published archive: my part, sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}, "
    told += f"{len(train)} training and {len(test)} test images"
    assert told in train.source and told in test.source and told in capsys.readouterr().err
    assert sorted(root.iterdir()) == before, "nothing is written beside it"
    assert (len(train), len(test)) == {"cifar10": (12, 6), "tiny_imagenet": (9, 6)}[name]


def test_its_pixels_and_its_order_of_classes(root: Path) -> None:
    arrays = cifar_arrays()
    arrays["batches.meta"]["label_names"] = ["zebra", "ant", "moth"]  # in no order of the alphabet
    found = fetch(dataset(pack("cifar10", cifar_files(arrays), root / "a.tgz")))
    (root / "official").mkdir()
    pack("cifar10", cifar_files(arrays), root / "official" / "cifar.tar.gz")
    same(found, cifar.read(cifar_like(), root / "official"))
    assert found[0].classes == ("zebra", "ant", "moth")
    (root / "tiny").mkdir()
    pack("tiny_imagenet", tiny_files(), root / "tiny" / "tiny.zip")
    other = fetch(dataset(root / "tiny" / "tiny.zip", "tiny_imagenet"))
    same(other, tiny_imagenet.read(tiny_like(), root / "tiny"))
    assert other[0].classes == tuple(sorted(WNIDS))


@pytest.mark.parametrize("name", FILES)
def test_an_unpacked_folder(name: str, root: Path) -> None:
    """Whatever the folder is called; its sum is that of what `sha256sum` lists."""
    files = FILES[name]()
    place = unpack(files, root / "mine")
    found = fetch(dataset(place, name))
    same(found, fetch(dataset(pack(name, files, root / "archive"), name)))
    read = [n for n in files if not n.endswith(("words.txt", "boxes.txt", "test_0.JPEG"))]
    environment = {**os.environ, "LC_ALL": "C"}
    words = ["sha256sum", *sorted(read)]
    listed = subprocess.run(words, cwd=place, env=environment, capture_output=True, check=True).stdout
    assert f"not the published archive: mine, sha256 {hashlib.sha256(listed).hexdigest()}, " in found[0].source


def test_a_tar_of_a_dotted_folder(root: Path) -> None:
    """As `tar -cz ./FOLDER` writes it."""
    place = root / "a.tar.gz"
    place.write_bytes(tar_gz(cifar_files(), f"./{CIFAR_FOLDER}"))
    assert len(fetch(dataset(place))[0]) == 12


@pytest.mark.parametrize("name", FILES)
def test_the_published_archive_is_recognised(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under any name, and then every number must be the published one."""
    file = pack(name, FILES[name](), root / "renamed")
    module, own = (cifar, cifar_like()) if name == "cifar10" else (tiny_imagenet, tiny_like())
    monkeypatch.setattr(module, "CIFAR10" if name == "cifar10" else "TINY_IMAGENET", pinned(own, file.read_bytes()))
    for held in (False, True):
        source = fetch(dataset(file, name, published=held))[0].source
        assert source.endswith(own.archive.name) and "not the published" not in source
    assert "not the published" not in capsys.readouterr().err
    wrong = pinned(replace(own, each=(9, 9)), file.read_bytes())
    monkeypatch.setattr(module, "CIFAR10" if name == "cifar10" else "TINY_IMAGENET", wrong)
    with pytest.raises(ImpastoError, match="training images of class .*, expected 9"):
        fetch(dataset(file, name))


def test_an_unpacked_published_folder_is_recognised(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = cifar_files()
    place = unpack(files, root / "mine")
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(cifar, "CIFAR10", cifar_like(md5=sums))
    assert fetch(dataset(place))[0].source == "CIFAR-3, training images of cifar.tar.gz"
    monkeypatch.setattr(cifar, "CIFAR10", cifar_like(md5=sums | {"test_batch": "0" * 32}))
    assert "not the published archive: mine" in fetch(dataset(place))[0].source


@pytest.mark.parametrize("name", FILES)
def test_nothing_passes_for_published(name: str, root: Path) -> None:
    """With dataset.published true: a file by any name, the archive's own name in a folder, CIFAR's unpacked folder."""
    archive = "cifar.tar.gz" if name == "cifar10" else "tiny.zip"
    for place, file in ((root / "mine.zip", root / "mine.zip"), (root, root / archive)):
        pack(name, FILES[name](), file)
        with pytest.raises(ImpastoError, match=rf"{file.name} has [\d,]+ bytes, expected 7"):
            fetch(dataset(place, name, published=True))
        file.unlink()
    with pytest.raises(ImpastoError, match=r"no\.zip does not exist"):
        fetch(dataset(root / "no.zip", name, published=True))
    assert not (root / "no.zip").exists(), "an archive that is missing is no folder to download to"


def test_a_damaged_download_does_not_pass(root: Path) -> None:
    unpack(cifar_files(), root / CIFAR_FOLDER)
    for place in (root, root / CIFAR_FOLDER):
        with pytest.raises(ImpastoError, match=r"data_batch_1 has md5 [0-9a-f]{32}, expected 0{32}"):
            fetch(dataset(place, published=True))


@pytest.mark.parametrize("name", FILES)
def test_a_folder_is_not_searched(name: str, root: Path) -> None:
    """Neither for an archive nor for an unpacked folder: what is not published is named itself."""
    meta = "batches.meta" if name == "cifar10" else "wnids.txt"
    for archive in ("cifar.tar.gz", "tiny.zip"):
        pack(name, FILES[name](), root / archive)
    unpack(FILES[name](), root / (CIFAR_FOLDER if name == "cifar10" else "tiny-imagenet-3"))
    with pytest.raises(ImpastoError, match=rf"is no archive and holds no {meta} .dataset.root.*unpacked folder itself"):
        fetch(dataset(root, name))
    with pytest.raises(ImpastoError, match=r"nowhere does not exist"):
        fetch(dataset(root / "nowhere", name))


def test_what_needs_a_name(root: Path) -> None:
    for wrong, told in (
        ({"root": None}, "names no archive or folder of yours"),
        ({"name": "folder", "root": str(root)}, "of folder nothing is published"),
        ({"name": "digits", "root": None}, "of digits nothing is published"),
    ):
        with pytest.raises(ValueError, match=told):
            Dataset.model_validate(dataset(root).model_dump() | wrong)


def spoil(name: str, **changes: Any) -> dict[str, bytes]:
    arrays = cifar_arrays()
    arrays[name] |= changes
    return cifar_files(arrays)


FAULTS = {
    "no image of a class": (
        spoil("test_batch", labels=[1, 0, 0, 0, 0, 1]),
        "0 test images of class 'ape', expected",
    ),
    "label too large": (spoil("data_batch_2", labels=[1, 2, 3, 0, 1]), "holds the label 3, but there are 3 classes"),
    "a name too few": (spoil("batches.meta", label_names=["a", "b"]), "holds 2 names of classes, expected 3"),
    "no labels": (spoil("test_batch", labels="none"), "no list of whole numbers"),
    "no pixels": (spoil("test_batch", data=np.zeros((6, 3000), np.uint8)), "holds no images of 3 x 32 x 32 bytes"),
    "a file too few": ({k: v for k, v in cifar_files().items() if k != "data_batch_2"}, "has no member .*data_batch_2"),
    "no pickle": (cifar_files() | {"test_batch": b"?"}, "test_batch cannot be read"),
}


@pytest.mark.parametrize(("files", "message"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_the_structure_is_checked(root: Path, files: dict[str, bytes], message: str, packed: bool) -> None:
    """And nobody is told to delete a file of theirs."""
    place = pack("cifar10", files, root / "a") if packed else write(root / "a", files)
    with pytest.raises(ImpastoError, match=message) as caught:
        fetch(dataset(place))
    assert "Delete" not in str(caught.value) and caught.value.where == "dataset.root"


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.update({"wnids.txt": b"n1\nn2"}), "lists 2 classes in wnids.txt, expected 3"),
        (lambda files: files.update({"val/images/val_9.JPEG": b""}), "val_9.JPEG in only one of"),
        (lambda files: files.update({f"train/{WNIDS[0]}/images/x.JPEG": b"?"}), "x.JPEG' that is no image"),
        (lambda files: files.update({"wnids.txt": bytes(17 << 20)}), "of 17,825,792 bytes, which is more than"),
        (
            lambda files: [files.pop(name) for name in list(files) if name.startswith(f"train/{WNIDS[1]}/images")],
            f"has 0 training images of class '{WNIDS[1]}', expected at least one",
        ),
    ],
)
def test_the_structure_of_tiny_imagenet(
    root: Path, change: Callable[[dict[str, bytes]], Any], message: str, packed: bool
) -> None:
    files = tiny_files()
    change(files)
    place = pack("tiny_imagenet", files, root / "a") if packed else unpack(files, root / "a")
    with pytest.raises(ImpastoError, match=message) as caught:
        fetch(dataset(place, "tiny_imagenet"))
    assert "Delete" not in str(caught.value) and caught.value.where == "dataset.root"


def test_real_images(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A fifth of CIFAR-10, through the configuration and the true values of CIFAR-10."""
    archive = Path(os.environ.get("IMPASTO_TEST_DATA", "/nowhere")) / "cifar-10-subset.tar.gz"
    if not archive.exists():
        pytest.skip(f"{archive.name} is not here: name its folder in IMPASTO_TEST_DATA")
    monkeypatch.setattr(cifar, "CIFAR10", CIFAR10)
    train, test = fetch(dataset(archive))
    assert train.counts() == dict.fromkeys(CIFAR10_NAMES, 1000) and test.counts() == dict.fromkeys(CIFAR10_NAMES, 200)
    assert "10,000 training and 2,000 test images" in test.source and archive.name in capsys.readouterr().err
    with pytest.raises(ImpastoError, match=r"has [\d,]+ bytes, expected 170,498,071"):
        fetch(dataset(archive, published=True))
