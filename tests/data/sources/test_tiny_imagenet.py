"""TinyImageNet out of its zip archive, and what can be wrong with it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from file_server import Web, serve
from impasto.config.dataset import Dataset
from impasto.data import remote
from impasto.data.image_folder import ImageFolder
from impasto.data.images import Images
from impasto.data.sources import tiny_imagenet
from impasto.data.sources.registry import fetch
from impasto.data.sources.tiny_imagenet import TINY_IMAGENET, read
from impasto.errors import ImpastoError
from official_files import TINY_SIDE, WNIDS, jpeg, pinned, tiny_files, tiny_like, write, zipped

Files = dict[str, bytes]
FIRST = "train/n01443537/images/n01443537_0.JPEG"


def put(root: Path, files: Files) -> Path:
    return write(root, {"tiny.zip": zipped(files)})


def tree(root: Path, files: Files, part: str) -> ImageFolder:
    """The images of a part as a folder of class folders, unpacked by hand."""
    annotations = dict(line.split("\t")[:2] for line in files["val/val_annotations.txt"].decode().splitlines())
    for name, content in files.items():
        if name.startswith(f"{part}/") and name.endswith(".JPEG"):
            file = Path(name).name
            target = root / (annotations[file] if part == "val" else name.split("/")[1]) / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return ImageFolder(root)


def test_equals_a_folder_of_class_folders(tmp_path: Path) -> None:
    """Classes sorted, images sorted by name as a folder would have them, grey ones in RGB."""
    files = tiny_files()
    for part, images in zip(("train", "val"), read(tiny_like(), put(tmp_path, files)), strict=True):
        want = tree(tmp_path / part, files, part)
        assert images.classes == want.classes == tuple(sorted(WNIDS))
        assert np.array_equal(images.labels, want.labels) and images.labels.dtype == np.int64
        assert np.array_equal(images.pixels.transpose(0, 2, 3, 1), want[:])
        assert images.source == "TinyImageNet, tiny.zip"
    train = read(tiny_like(), tmp_path)[0]
    grey = [(image == image[:1]).all() for image in train.pixels]
    assert grey == [False, False, True] * 3


def test_chunks_keep_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, tiny_files())
    whole = read(tiny_like(), tmp_path)
    for chunk in (1, 4):
        monkeypatch.setattr(tiny_imagenet, "_CHUNK", chunk)
        for images, want in zip(read(tiny_like(), tmp_path), whole, strict=True):
            assert np.array_equal(images.pixels, want.pixels) and np.array_equal(images.labels, want.labels)


def test_nothing_is_unpacked(tmp_path: Path) -> None:
    files = tiny_files() | {"../../evil.JPEG": jpeg(0), "/etc/evil.JPEG": jpeg(0)}
    inner = put(tmp_path / "inner", files)
    assert len(read(tiny_like(), inner)[0]) == 9
    assert [p.name for p in tmp_path.rglob("*") if p.is_file() and not p.name.startswith(".")] == ["tiny.zip"]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as found:
        found.files = {"/tiny.zip": zipped(tiny_files())}
        yield found


def dataset(root: Path | None, **changes: Any) -> Dataset:
    values = {"name": "tiny_imagenet", "root": root and str(root), "published": True, "size": 64, "test": 0.2}
    values |= dict.fromkeys(("version", "task", "split"))
    return Dataset.model_validate(values | {"validation": 0.1, "imbalance": 1.0, "seed": 0} | changes)


def test_from_the_configuration(web: Web, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = zipped(tiny_files() | {"readme": np.random.default_rng(0).bytes(300_000)})
    web.files["/tiny.zip"], web.drops["/tiny.zip"] = content, [200_000]
    monkeypatch.setattr(tiny_imagenet, "TINY_IMAGENET", pinned(tiny_like(web.address), content))
    for place in (None, root / "data" / "official"):
        train, test = fetch(dataset(place))
        assert train.counts() == dict.fromkeys(sorted(WNIDS), 3) and test.counts() == dict.fromkeys(sorted(WNIDS), 2)
    assert len(web.asked) == 2 and int(str(web.asked[1][1])[6:-1]) > 100_000, "taken up where it broke, and once"
    (root / "data" / "official" / "tiny.zip").write_bytes(content[:-1] + b"?")
    with pytest.raises(ImpastoError, match=r"tiny.zip has md5 [0-9a-f]{32}, expected .*Delete it"):
        fetch(dataset(None))


def annotate(number: int, line: str) -> Callable[[Files], object]:
    def change(files: Files) -> None:
        lines = files["val/val_annotations.txt"].decode().splitlines()
        lines[number] = line
        files["val/val_annotations.txt"] = "\n".join(lines).encode()

    return change


FAULTS: dict[str, tuple[Callable[[Files], Any], str]] = {
    "a training image is missing": (
        lambda files: files.pop(FIRST),
        "has 2 training images of class 'n01443537', expected 3",
    ),
    "a training image too many": (
        lambda files: files.update({FIRST.replace("_0", "_99"): jpeg(1)}),
        "has 4 training images of class 'n01443537', expected 3",
    ),
    "a class that is not listed": (
        lambda files: files.update({"train/n9/images/n9_0.JPEG": jpeg(1)}),
        "'tiny-imagenet-3/train/n9/images/n9_0.JPEG', but wnids.txt has no n9",
    ),
    "a class is missing": (lambda files: files.update({"wnids.txt": b"n01443537\nn02124075\n"}), "lists 2 classes"),
    "a class twice": (
        lambda files: files.update({"wnids.txt": b"n01443537\nn02124075\nn02124075"}),
        "lists 2 classes in wnids.txt, expected 3",
    ),
    "no list of classes": (lambda files: files.pop("wnids.txt"), "has no member 'tiny-imagenet-3/wnids.txt'"),
    "no text": (lambda files: files.update({"wnids.txt": b"\xff\xfe"}), "'tiny-imagenet-3/wnids.txt' that is no text"),
    "no annotations": (lambda files: files.pop("val/val_annotations.txt"), "has no member .*val_annotations.txt"),
    "a validation image of no class": (annotate(2, "val_2.JPEG\tn9\t0"), "names class 'n9' in line 3 of val_annot"),
    "a line without class": (annotate(2, "val_2.JPEG"), "names class '' in line 3"),
    "a validation image is missing": (
        lambda files: files.pop("val/images/val_4.JPEG"),
        "val_4.JPEG in only one of val/images and val_annotations.txt",
    ),
    "a validation image without annotation": (
        lambda files: files.update({"val/images/val_6.JPEG": jpeg(1)}),
        "val_6.JPEG in only one of val/images",
    ),
    "an annotation that leads outside": (
        annotate(0, f"../../train/n01443537/images/n01443537_0.JPEG\t{WNIDS[0]}"),
        "in only one of val/images and val_annotations.txt",
    ),
    "a validation image of another class": (
        annotate(0, f"val_0.JPEG\t{WNIDS[1]}"),
        f"has 3 validation images of class '{WNIDS[1]}', expected 2",
    ),
    "a truncated image": (
        lambda files: files.update({FIRST: files[FIRST][: len(files[FIRST]) // 2]}),
        "'tiny-imagenet-3/.*n01443537_0.JPEG' that is no image: .*[Tt]runcated",
    ),
    "no image": (lambda files: files.update({FIRST: b"../../../etc/passwd"}), "n01443537_0.JPEG' that is no image: "),
    "another size": (
        lambda files: files.update({FIRST: jpeg(0, side=TINY_SIDE + 1)}),
        "that is no image: it has 17 x 17 pixels, expected 16 x 16",
    ),
    "another format": (lambda files: files.update({FIRST: png()}), "that is no image: cannot identify"),
    "an image that would be 10 GB": (
        lambda files: files.update({FIRST: huge(files[FIRST])}),
        r"that is no image: (it has 60000 x 60000 pixels|Image size .* exceeds limit)",
    ),
    "a bomb": (lambda files: files.update({"wnids.txt": bytes(17 << 20)}), "wnids.txt' of 17,825,792 bytes, which is"),
}


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (TINY_SIDE, TINY_SIDE)).save(buffer, "PNG")
    return buffer.getvalue()


def huge(content: bytes) -> bytes:
    """The same JPEG with another size in its header."""
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + (60000).to_bytes(2, "big") * 2 + content[place + 4 :]


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_named(tmp_path: Path, change: Callable[[Files], object], message: str) -> None:
    files = tiny_files()
    change(files)
    with pytest.raises(ImpastoError, match=rf"tiny.zip .*{message}"):
        read(tiny_like(), put(tmp_path, files))


def test_damaged_archives(tmp_path: Path) -> None:
    content = zipped(tiny_files())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        place = archive.getinfo(f"tiny-imagenet-3/{FIRST}").header_offset + 120
    for bad in (content[:-100], b"", content[:place] + b"????" + content[place + 4 :]):
        write(tmp_path, {"tiny.zip": bad})
        with pytest.raises(ImpastoError, match=r"tiny.zip cannot be read"):
            read(tiny_like(), tmp_path)


def test_an_annotation_twice(tmp_path: Path) -> None:
    files = tiny_files()
    files["val/val_annotations.txt"] += files["val/val_annotations.txt"].splitlines()[0]
    with pytest.raises(ImpastoError, match="names an image twice in val_annotations.txt"):
        read(tiny_like(), put(tmp_path, files))


def test_progress_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(tiny_like(), put(tmp_path, tiny_files()))
    assert "read tiny.zip: 1/1 x256 images" in capsys.readouterr().err


def test_the_published_values() -> None:
    """100,000 and 10,000 images of 200 classes at 64 px; the archive as both mirrors have it."""
    one = TINY_IMAGENET
    assert (one.classes * one.each[0], one.classes * one.each[1], one.size) == (100_000, 10_000, 64)
    assert all(url.endswith(f"/{one.archive.name}") for url in one.archive.urls) and len(one.archive.urls) == 2
    assert one.archive.md5 == "90528d7ca1a48142e341f4ef8d21d0de" and one.archive.size == 248_100_043


def test_saved_for_the_other_stages(tmp_path: Path) -> None:
    test = read(tiny_like(), put(tmp_path, tiny_files()))[1]
    test.save(tmp_path / "saved")
    assert np.array_equal(Images.load(tmp_path / "saved").pixels, test.pixels)
