"""CIFAR: the authors' archives, downloaded or at hand, read to the last pixel, and what can be wrong with them."""

from __future__ import annotations

import os
import pickle
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from file_server import Web, serve
from impasto.config.dataset import Dataset
from impasto.data import remote
from impasto.data.images import Images
from impasto.data.sources import cifar
from impasto.data.sources.cifar import CIFAR10, CIFAR100, read
from impasto.data.sources.registry import fetch
from impasto.errors import ImpastoError
from official_files import CIFAR10_NAMES, cifar_arrays, cifar_files, cifar_like, pinned, tar_gz, write

Arrays = dict[str, dict[str, Any]]
NAME = "cifar-3-batches-py"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as found:
        found.files = {"/cifar.tar.gz": tar_gz(cifar_files())}
        yield found


def dataset(root: Path | None, name: str = "cifar10", **changes: Any) -> Dataset:
    values = {
        "name": name,
        "root": root and str(root),
        "published": True,
        "version": None,
        "task": None,
        "split": None,
        "size": 32,
        "test": 0.2,
        "validation": 0.1,
        "imbalance": 1.0,
        "seed": 0,
    }
    return Dataset.model_validate(values | changes)


def expect(parts: tuple[Images, Images]) -> None:
    """The very pixels and labels, in the order of the files."""
    arrays, (train, test) = cifar_arrays(), parts
    for images, names in ((train, ("data_batch_1", "data_batch_2")), (test, ("test_batch",))):
        flat = np.concatenate([arrays[name]["data"] for name in names])
        assert images.labels.tolist() == [label for name in names for label in arrays[name]["labels"]]
        assert images.labels.dtype == np.int64 and images.pixels.dtype == np.uint8
        for channel in range(3):  # a row is the red, then the green, then the blue plane
            plane = flat[:, 1024 * channel : 1024 * (channel + 1)]
            assert np.array_equal(images.pixels[:, channel].reshape(len(flat), -1), plane)
        assert images.classes == ("cat", "dog", "ape") and images.source.startswith("CIFAR-3, ")


def test_downloaded_once(web: Web, tmp_path: Path) -> None:
    published = pinned(cifar_like(web.address), web.files["/cifar.tar.gz"])
    for _ in range(2):
        expect(read(published, tmp_path))
    assert len(web.asked) == 1 and (tmp_path / "cifar.tar.gz").exists()
    assert not [p for p in tmp_path.iterdir() if p.is_dir()], "nothing is unpacked"


def test_a_cut_connection_is_taken_up(web: Web, tmp_path: Path) -> None:
    """Also by a later run."""
    content = tar_gz(cifar_files() | {"readme": np.random.default_rng(0).bytes(300_000)})
    web.files["/cifar.tar.gz"], web.drops["/cifar.tar.gz"] = content, [200_000] * (remote.TRIES + 1)
    with pytest.raises(ImpastoError, match="cannot be downloaded: .* bytes, 5 attempts"):
        read(pinned(cifar_like(web.address), content), tmp_path)
    expect(read(pinned(cifar_like(web.address), content), tmp_path))
    assert int(str(web.asked[-1][1])[6:-1]) > 100_000


def test_another_file_on_the_server_is_named_by_its_checksum(web: Web, tmp_path: Path) -> None:
    published = pinned(cifar_like(web.address), web.files["/cifar.tar.gz"])
    web.files["/cifar.tar.gz"] = web.files["/cifar.tar.gz"][:-1] + b"?"
    with pytest.raises(ImpastoError, match=rf"has md5 [0-9a-f]{{32}}, expected {published.archive.md5}"):
        read(published, tmp_path)
    assert not (tmp_path / "cifar.tar.gz").exists()


def test_an_archive_at_hand_is_checked_and_taken(tmp_path: Path) -> None:
    content = tar_gz(cifar_files())
    write(tmp_path, {"cifar.tar.gz": content})
    expect(read(pinned(cifar_like(), content), tmp_path))
    write(tmp_path, {"cifar.tar.gz": content[:-1] + b"?"})
    with pytest.raises(ImpastoError, match=r"cifar.tar.gz has md5 [0-9a-f]{32}, expected .*Delete it"):
        read(pinned(cifar_like(), content), tmp_path)


@pytest.mark.parametrize("inside", [False, True], ids=["its parent", "itself"])
def test_an_unpacked_folder_is_taken(tmp_path: Path, inside: bool) -> None:
    write(tmp_path / NAME, cifar_files())
    expect(read(cifar_like(), tmp_path / NAME if inside else tmp_path))


def test_files_of_an_unpacked_folder_are_checked(tmp_path: Path) -> None:
    write(tmp_path / NAME, cifar_files())
    expect(read(cifar_like(), tmp_path))
    with pytest.raises(ImpastoError, match=rf"data_batch_2 has md5 [0-9a-f]{{32}}, expected {'0' * 32}.*Unpack"):
        read(cifar_like(md5={"data_batch_2": "0" * 32}), tmp_path)
    (tmp_path / NAME / "data_batch_2").unlink()
    with pytest.raises(ImpastoError, match="data_batch_2 does not exist .*Unpack the archive again, or remove"):
        read(cifar_like(), tmp_path)


def test_python_3_archives(tmp_path: Path) -> None:
    for protocol in (2, 4):
        files = {name: pickle.dumps(entries, protocol) for name, entries in cifar_arrays().items()}
        expect(read(cifar_like(), write(tmp_path / str(protocol), {"cifar.tar.gz": tar_gz(files)})))


class Evil:
    """A pickle that makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"mkdir {self.path}",)


def test_an_evil_pickle_runs_nothing(tmp_path: Path) -> None:
    files = cifar_files() | {"data_batch_2": pickle.dumps(Evil(tmp_path / "evil"), 2)}
    write(tmp_path, {"cifar.tar.gz": tar_gz(files)})
    with pytest.raises(ImpastoError, match=r"data_batch_2 cannot be read: it asks for posix\.system, which is not"):
        read(cifar_like(), tmp_path)
    assert not (tmp_path / "evil").exists()


def spoil(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Arrays], object]:
    return lambda arrays: change(arrays[name])


FAULTS = {
    "label too large": (
        spoil("data_batch_2", lambda a: a["labels"].__setitem__(0, 3)),
        "data_batch_2 holds the label 3, but there are 3 classes",
    ),
    "label below 0": (spoil("test_batch", lambda a: a["labels"].__setitem__(0, -1)), "test_batch holds the label -1"),
    "fewer labels": (spoil("data_batch_1", lambda a: a["labels"].pop()), "data_batch_1 holds 7 images, but 6 labels"),
    "no labels": (spoil("data_batch_1", lambda a: a.pop("labels")), "data_batch_1 has no key 'labels' .it has: batch_"),
    "labels in an array": (
        spoil("data_batch_1", lambda a: a.update(labels=np.zeros(7, np.uint8))),
        "data_batch_1 holds no list of whole numbers under 'labels'",
    ),
    "labels as texts": (spoil("data_batch_1", lambda a: a.update(labels=["a"] * 7)), "no list of whole numbers"),
    "images of another size": (
        spoil("test_batch", lambda a: a.update(data=a["data"][:, :3000])),
        "test_batch holds no images of 3 x 32 x 32 bytes",
    ),
    "no images": (spoil("test_batch", lambda a: a.update(data="none")), "test_batch holds no images of 3 x 32 x 32"),
    "one image more": (
        spoil("test_batch", lambda a: a.update(labels=[*a["labels"], 1], data=np.resize(a["data"], (7, 3072)))),
        "has 3 test images of class 'dog', expected 2",
    ),
    "another class": (
        spoil("data_batch_2", lambda a: a["labels"].__setitem__(0, 0)),
        "has 5 training images of class 'cat', expected 4",
    ),
    "fewer names": (spoil("batches.meta", lambda a: a["label_names"].pop()), "batches.meta holds 2 names of classes"),
    "a name twice": (
        spoil("batches.meta", lambda a: a.update(label_names=["cat", "cat", "ape"])),
        "batches.meta holds 2 names of classes, expected 3",
    ),
    "no names": (spoil("batches.meta", lambda a: a.pop("label_names")), "batches.meta has no key 'label_names'"),
    "names that are none": (spoil("batches.meta", lambda a: a.update(label_names=3)), "holds 0 names of classes"),
}


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("unpacked", [False, True], ids=["archive", "folder"])
def test_wrong_content_is_named(
    tmp_path: Path, change: Callable[[Arrays], object], message: str, unpacked: bool
) -> None:
    arrays = cifar_arrays()
    change(arrays)
    files = cifar_files(arrays)
    if unpacked:
        write(tmp_path / NAME, files)
    else:
        write(tmp_path, {"cifar.tar.gz": tar_gz(files)})
    with pytest.raises(ImpastoError, match=message):
        read(cifar_like(), tmp_path)


def test_damaged_archives(tmp_path: Path) -> None:
    content, files = tar_gz(cifar_files()), cifar_files()
    files.pop("test_batch")
    linked = tarfile.TarInfo(f"{NAME}/test_batch")
    linked.type, linked.linkname = tarfile.SYMTYPE, "/etc/passwd"
    for bad, message in (
        (content[: len(content) // 2], "cifar.tar.gz cannot be read"),
        (tar_gz(files), f"cifar.tar.gz has no member '{NAME}/test_batch'"),
        (tar_gz(files | {"test_batch": linked}), "'cifar-3-batches-py/test_batch' that is no file"),
        (b"<html>log in</html>", "cifar.tar.gz cannot be read"),
    ):
        write(tmp_path, {"cifar.tar.gz": bad})
        with pytest.raises(ImpastoError, match=message):
            read(cifar_like(), tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_from_the_configuration(
    name: str, web: Web, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """dataset.root names the folder; without one it is data/official of the main workspace."""
    monkeypatch.setattr(cifar, name.upper(), pinned(cifar_like(web.address), web.files["/cifar.tar.gz"]))
    expect(fetch(dataset(None, name)))
    assert (root / "data" / "official" / "cifar.tar.gz").exists()
    other = tmp_path_factory.mktemp("mine")
    expect(fetch(dataset(other, name)))
    assert (other / "cifar.tar.gz").exists() and len(web.asked) == 2
    monkeypatch.chdir(other)  # a queued experiment runs elsewhere
    expect(fetch(dataset(None, name)))
    assert len(web.asked) == 2


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_published_values(name: str) -> None:
    """Against torchvision's transcription."""
    from torchvision import datasets

    ours, theirs = {"cifar10": (CIFAR10, datasets.CIFAR10), "cifar100": (CIFAR100, datasets.CIFAR100)}[name]
    assert ours.archive.urls[0] == theirs.url and ours.archive.md5 == theirs.tgz_md5
    assert ours.archive.name == theirs.filename and ours.folder == theirs.base_folder
    assert list(ours.train) == [file for file, _ in theirs.train_list]
    assert [ours.test] == [file for file, _ in theirs.test_list]
    assert (ours.meta, ours.names) == (theirs.meta["filename"], theirs.meta["key"])
    want = dict([*theirs.train_list, *theirs.test_list]) | {theirs.meta["filename"]: theirs.meta["md5"]}
    assert ours.md5 == want
    assert ours.classes * sum(ours.each) == 60_000 and ours.classes * ours.each[0] == 50_000


def test_equals_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision reads the same files to the same images."""
    from torchvision import datasets

    arrays = cifar_arrays()
    files = {name: pickle.dumps(entries, 2) for name, entries in arrays.items()}
    write(tmp_path / NAME, files)
    lists = {"train_list": [["data_batch_1", ""], ["data_batch_2", ""]], "test_list": [["test_batch", ""]]}
    peer = type("Peer", (datasets.CIFAR10,), {"base_folder": NAME, "_check_integrity": lambda self: True, **lists})
    monkeypatch.setattr(datasets.cifar, "check_integrity", lambda *_: True)
    for images, train in zip(read(cifar_like(), tmp_path), (True, False), strict=True):
        found = peer(str(tmp_path), train=train)
        assert np.array_equal(images.pixels.transpose(0, 2, 3, 1), found.data)
        assert images.labels.tolist() == found.targets


def test_real_images(tmp_path: Path) -> None:
    """A fifth of CIFAR-10 in the official layout, where they are at hand."""
    archive = Path(os.environ.get("IMPASTO_TEST_DATA", "/nowhere")) / "cifar-10-subset.tar.gz"
    if not archive.exists():
        pytest.skip(f"{archive.name} is not here: name its folder in IMPASTO_TEST_DATA")
    (tmp_path / "cifar-10-python.tar.gz").symlink_to(archive)
    file = replace(CIFAR10.archive, size=None, md5=None)
    train, test = read(replace(CIFAR10, archive=file, each=(1000, 200)), tmp_path)
    assert train.pixels.shape == (10_000, 3, 32, 32) and test.pixels.shape == (2000, 3, 32, 32)
    assert train.classes == tuple(CIFAR10_NAMES)
    sky = test.pixels[test.labels == 8].mean((0, 2, 3)) - test.pixels[test.labels == 6].mean((0, 2, 3))
    assert sky.argmax() == 2, "ships are bluer than frogs: the planes come in their order"
