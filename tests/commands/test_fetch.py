"""`impasto fetch`, from a server on this machine."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from typer.testing import CliRunner

from file_server import Web, serve
from impasto.cli import app
from impasto.corrupted.make import plan, regenerate
from impasto.corrupted.published import PUBLISHED, RECORD, Published, fetched
from impasto.corrupted.stored import StoredSet
from impasto.data.images import Images
from impasto.data.remote import Remote
from impasto.io import write_json
from tiny import CPU, pictures

ARRAYS = {"fog.npy": np.zeros((50, 8, 8, 3), np.uint8), "labels.npy": np.tile(np.arange(10), 5)}


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """Small archives in place of the published ones."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as found:
        arrays = {name: saved(array) for name, array in ARRAYS.items()}
        found.files["/a.tar"] = packed({f"CIFAR-10-C/{name}": content for name, content in arrays.items()})
        for part, name in (("main", "fog"), ("extra", "spatter")):
            files = {f"TIN-{part}/{name}/{s}/n{c}/{i}.JPEG": jpeg() for s in range(1, 6) for c in "12" for i in "ab"}
            found.files[f"/{part}.tar"] = packed(files)

        def remote(name: str) -> Remote:
            content = found.files[f"/{name}"]
            return Remote(name, (f"{found.address}/{name}",), len(content), hashlib.md5(content).hexdigest())

        md5 = {name: hashlib.md5(content).hexdigest() for name, content in arrays.items()}
        small = Published("CIFAR-10-C", "small", (remote("a.tar"),), ("fog",), (10, 8, 8), 10, md5)
        two = Published("TIN-C", "two", (remote("main.tar"), remote("extra.tar")), ("fog", "spatter"), (4, 8, 8), 2)
        monkeypatch.setitem(PUBLISHED, "cifar10-c", small)
        monkeypatch.setitem(PUBLISHED, "tiny-imagenet-c", two)
        yield found


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["fetch", *arguments])


def test_the_list_names_sets_and_sizes(root: Path) -> None:
    done = invoke()
    assert done.exit_code == 0 and [line.split()[0] for line in done.stdout.splitlines()] == list(PUBLISHED)
    assert "2.92 GB" in done.stdout.splitlines()[0] and "size not published" in done.stdout.splitlines()[2]
    assert "?" not in done.stdout


def test_an_unknown_name(root: Path) -> None:
    for name, remedy in {
        "cifar10-c-bar": "Did you mean 'cifar10-c'?",
        "svhn": "Valid here: cifar10-c, cifar100-c, tiny-imagenet-c.",
    }.items():
        done = invoke(name)
        assert done.exit_code == 2 and done.stderr.endswith(f"[impasto fetch]. {remedy}\n")


def test_arrays(web: Web, root: Path) -> None:
    done = invoke("cifar10-c", "--to", "sets")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "sets/CIFAR-10-C: 1 corruption, every file as published\n"
    found = StoredSet(root / "sets" / "CIFAR-10-C")
    assert found.origin == "official" and np.array_equal(found.open("fog", 1), ARRAYS["fog.npy"][:10])
    assert invoke("cifar10-c", "--to", "sets").exit_code == 0 and len(web.asked) == 1
    (root / "sets" / "a.tar").unlink()  # may be deleted once it is unpacked
    assert invoke("cifar10-c", "--to", "sets").exit_code == 0 and len(web.asked) == 1


def test_two_archives_make_one_set(web: Web, root: Path) -> None:
    web.faults["/extra.tar"] = [404]
    assert invoke("tiny-imagenet-c").exit_code == 2
    done = invoke("tiny-imagenet-c")
    assert done.exit_code == 0, done.stderr
    assert [path for path, _ in web.asked] == ["/main.tar", "/extra.tar", "/extra.tar"]
    found = StoredSet(root / "data" / "official" / "TIN-C")
    assert found.names == ("fog", "spatter") and found.origin == "official"


@pytest.mark.parametrize("stale", [{"a.tar": "0" * 32}, {}])
def test_a_record_of_another_archive_is_not_believed(web: Web, root: Path, stale: dict[str, str]) -> None:
    assert invoke("cifar10-c", "--to", ".").exit_code == 0
    write_json(root / "CIFAR-10-C" / RECORD, stale)
    (root / "CIFAR-10-C" / "fog.npy").unlink()
    assert not fetched(root / "CIFAR-10-C", PUBLISHED["cifar10-c"])
    assert invoke("cifar10-c", "--to", ".").exit_code == 0 and (root / "CIFAR-10-C" / "fog.npy").exists()
    assert fetched(root / "CIFAR-10-C", PUBLISHED["cifar10-c"])


def test_two_at_once(web: Web, root: Path) -> None:
    """Also while one of them unpacks: what it has not finished must not be taken for whole."""
    (root / "data" / "official").mkdir(parents=True)
    with FileLock(root / "data" / "official" / ".CIFAR-10-C.lock"):
        done = invoke("cifar10-c")
    assert done.exit_code == 2 and "another process fetches data/official/CIFAR-10-C" in done.stderr
    assert web.asked == [] and invoke("cifar10-c").exit_code == 0


def test_an_archive_put_there_by_hand(web: Web, root: Path) -> None:
    (root / "a.tar").write_bytes(web.files["/a.tar"])
    assert invoke("cifar10-c", "--to", ".").exit_code == 0 and web.asked == []


def test_a_wrong_archive_and_a_wrong_file(web: Web, root: Path) -> None:
    right, web.files["/a.tar"] = web.files["/a.tar"], b"x" * len(web.files["/a.tar"])
    done = invoke("cifar10-c", "--to", ".")
    assert done.exit_code == 2 and "the file has md5" in done.stderr.splitlines()[-1]
    assert not (root / "CIFAR-10-C").exists()
    web.files["/a.tar"] = right
    assert invoke("cifar10-c", "--to", ".").exit_code == 0
    (root / "CIFAR-10-C" / "fog.npy").unlink()
    done = invoke("cifar10-c", "--to", ".")
    assert done.exit_code == 2 and "Delete CIFAR-10-C" in done.stderr
    shutil.rmtree(root / "CIFAR-10-C")
    assert invoke("cifar10-c", "--to", ".").exit_code == 0


def test_a_set_that_impasto_made_is_in_the_way(web: Web, root: Path) -> None:
    Images(*pictures(3), ("a", "b", "c", "d"), "made").save(root / "clean")
    regenerate(root / "clean", root / "CIFAR-10-C", ["contrast"], plan(root / "clean", 0, "auto", (1,), "npy"), CPU)
    done = invoke("cifar10-c", "--to", ".")
    assert done.exit_code == 2 and "holds a set that impasto made" in done.stderr and web.asked == []
