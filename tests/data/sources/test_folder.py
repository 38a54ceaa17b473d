"""Folders of images: modes, rotation, layouts, and what is wrong with a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from impasto.config.dataset import Dataset
from impasto.data.decode import SUFFIXES, image_files, read_image
from impasto.data.images import Images
from impasto.data.sources.folder import read_images, read_tree
from impasto.data.sources.registry import fetch
from impasto.errors import ImpastoError

SIZE = 16
RED = np.array([200, 30, 90])


def dataset(root: Path, **changes: Any) -> Dataset:
    values = {
        "name": "folder",
        "root": str(root),
        "published": True,
        "version": None,
        "task": None,
        "split": None,
        "size": SIZE,
        "test": 0.25,
        "validation": 0.1,
        "imbalance": 1.0,
        "seed": 0,
    }
    return Dataset.model_validate(values | changes)


def noise(width: int = SIZE, height: int = SIZE, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def put(path: Path, image: Image.Image | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or noise(seed=sum(path.name.encode()))).save(path, **options)
    return path


def classes(root: Path, names: tuple[str, ...] = ("a", "b"), n: int = 4) -> Path:
    for name in names:
        for index in range(n):
            put(root / name / f"{name}{index}.png")
    return root


def expect(file: Path, rgb: np.ndarray, tolerance: float = 0.5) -> None:
    """The file is one colour, or the given HWC pixels."""
    found = read_image(file, SIZE).astype(float).transpose(1, 2, 0)
    assert found.shape == (SIZE, SIZE, 3)
    assert np.abs(found - rgb).max() <= tolerance


def test_an_image_of_the_right_size_is_left_alone(tmp_path: Path) -> None:
    found = read_image(put(tmp_path / "a.png", noise()), SIZE)
    assert found.dtype == np.uint8 and np.array_equal(found, np.asarray(noise()).transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "L", "1", "P", "LA", "I;16", "I", "F", "YCbCr"])
def test_any_mode_shows_what_it_holds(tmp_path: Path, mode: str) -> None:
    """One even colour, or its grey, survives whatever the mode."""
    lossy = {"CMYK": 1, "YCbCr": 3}.get(mode, 0.5)
    suffix = ".tiff" if mode in {"CMYK", "F", "I", "YCbCr"} else ".png"
    coloured = mode in {"RGB", "RGBA", "CMYK", "P", "YCbCr"}
    if mode in {"I;16", "I"}:
        image = Image.fromarray(np.full((SIZE, SIZE), 128 * 257, np.uint16)).convert(mode)
        wanted = np.full(3, 128)
    elif mode == "F":
        image, wanted = Image.fromarray(np.full((SIZE, SIZE), 0.3, np.float32)), np.full(3, 76)
    elif mode == "1":
        image, wanted = Image.new("1", (SIZE, SIZE), 1), np.full(3, 255)
    else:
        even = Image.new("RGB", (SIZE, SIZE), tuple(RED))
        image = even.quantize() if mode == "P" else even.convert(mode)
        wanted = RED if coloured else np.full(3, np.asarray(Image.new("RGB", (1, 1), tuple(RED)).convert("L"))[0, 0])
    expect(put(tmp_path / f"a{suffix}", image), wanted, lossy)


def test_every_level_of_a_16_bit_image_is_that_of_its_8_bit_one(tmp_path: Path) -> None:
    """v and 257 v are the same grey."""
    levels = np.arange(256, dtype=np.uint16).reshape(SIZE, SIZE)
    file = put(tmp_path / "a.png", Image.fromarray(levels * 257))
    expect(file, np.repeat(levels[:, :, None], 3, 2), 0)


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "RGB", "LA"])
def test_what_is_transparent_turns_white(tmp_path: Path, mode: str) -> None:
    """The left half is transparent."""
    if mode in {"RGBA", "LA"}:
        image = Image.new(mode, (SIZE, SIZE), (0, 0, 0, 255) if mode == "RGBA" else (0, 255))
        image.paste((9, 9, 9, 0) if mode == "RGBA" else (9, 0), (0, 0, SIZE // 2, SIZE))
        file = put(tmp_path / "a.png", image)
    else:
        image = Image.new(mode, (SIZE, SIZE), 0)
        image.paste(7 if mode != "RGB" else (7, 7, 7), (0, 0, SIZE // 2, SIZE))
        if mode == "P":
            image.putpalette([0] * 768)
        file = put(tmp_path / "a.png", image, transparency=7 if mode != "RGB" else (7, 7, 7))
    wanted = np.zeros((SIZE, SIZE, 3))
    wanted[:, : SIZE // 2] = 255
    expect(file, wanted)


def test_half_transparent_is_half_white(tmp_path: Path) -> None:
    expect(put(tmp_path / "a.png", Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 128))), np.full(3, 127), 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    upright = np.asarray(noise())
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    expect(put(tmp_path / "a.png", Image.fromarray(np.ascontiguousarray(stored)), exif=exif), upright)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(1, 70), height=st.integers(1, 70), size=st.sampled_from([16, 20, 64]))
def test_any_size_becomes_the_size_asked_for(tmp_path: Path, width: int, height: int, size: int) -> None:
    found = read_image(put(tmp_path / "a.png", Image.new("RGB", (width, height), (7, 8, 9))), size)
    assert found.shape == (3, size, size) and (found == np.array([7, 8, 9])[:, None, None]).all()


@pytest.mark.parametrize("wide", [True, False])
def test_the_middle_square_is_kept_unstretched(tmp_path: Path, wide: bool) -> None:
    """Three squares in a row, the middle one with a frame of one eighth of its side."""
    pixels = np.zeros((64, 192, 3), np.uint8)
    pixels[:, 64:128], pixels[8:56, 72:120] = 100, 200
    file = put(tmp_path / "a.png", Image.fromarray(pixels if wide else pixels.transpose(1, 0, 2)))
    found = read_image(file, 32)[0]
    assert (found[6:-6, 6:-6] == 200).all() and (np.abs(found[1, 1:-1].astype(int) - 100) < 12).all()
    assert (np.abs(found[1:-1, 1].astype(int) - 100) < 12).all()


def test_shrinking_averages(tmp_path: Path) -> None:
    """A fine checkerboard turns grey; without antialiasing it would stay black and white."""
    board = 255 * (np.indices((128, 128)).sum(0) % 2).astype(np.uint8)
    expect(put(tmp_path / "a.png", Image.fromarray(board)), np.full(3, 127.5), 3)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_suffix_is_read_in_either_case(tmp_path: Path, suffix: str) -> None:
    even = Image.new("RGB", (SIZE, SIZE), tuple(RED))
    for name in (f"a{suffix}", f"b{suffix.upper()}"):
        put(tmp_path / "one" / name, even)
    put(tmp_path / "two" / "c.png")
    found = read_tree(tmp_path, SIZE)
    assert found.counts() == {"one": 2, "two": 1}
    assert np.abs(found.pixels[:2].mean((2, 3)) - RED).max() < 12


@pytest.mark.parametrize(
    "content",
    [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM" + bytes(60), b"II*\x00" + bytes(40)],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    classes(tmp_path)
    (tmp_path / "b" / "bad.png").write_bytes(content)
    with pytest.raises(ImpastoError, match=r"bad\.png cannot be read as an image: .*Replace or remove the file"):
        read_tree(tmp_path, SIZE)


def test_all_broken_files_are_told_at_once(tmp_path: Path) -> None:
    classes(tmp_path)
    for number in range(12):
        (tmp_path / "b" / f"bad{number:02}.png").write_bytes(b"no image")
    with pytest.raises(ImpastoError, match=r"^12 files cannot be read as images: ") as caught:
        read_tree(tmp_path, SIZE)
    told = caught.value.what
    assert [f"bad{number:02}.png cannot be read" in told for number in range(12)] == [True] * 10 + [False] * 2
    assert told.endswith("; ...") and "Replace or remove the files" in str(caught.value)


def test_the_files_of_images_are_known_wherever_they_go(tmp_path: Path) -> None:
    for name in ("one/b.png", "one/deep/a.png", "two/c.png"):
        put(tmp_path / "in" / name)
    found = read_tree(tmp_path / "in", SIZE)
    assert [found.name(row) for row in range(3)] == ["one/b.png", "one/deep/a.png", "two/c.png"]
    found.take(np.array([2, 0])).save(tmp_path / "out")
    kept = Images.load(tmp_path / "out")
    assert [kept.name(row) for row in range(2)] == ["two/c.png", "one/b.png"]
    replace(kept, names=None).save(tmp_path / "out")
    assert Images.load(tmp_path / "out").names is None and kept.name(1) and not Images.load(tmp_path / "out").name(1)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".png", ".jpg", ".bmp", ".gif", ".ppm"]),
    keep=st.floats(0, 1),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=4),
)
def test_damage_is_an_error_that_can_be_mended_or_none(
    tmp_path: Path, suffix: str, keep: float, edits: list[tuple[float, int]]
) -> None:
    file = put(tmp_path / f"a{suffix}", noise())
    content = bytearray(file.read_bytes()[: int(keep * file.stat().st_size)])
    for place, value in edits if content else ():
        content[int(place * len(content))] = value
    file.write_bytes(content)
    try:
        assert read_image(file, SIZE).shape == (3, SIZE, SIZE)
    except ImpastoError as error:
        assert str(file) in str(error)


def test_a_tree_with_its_own_test_split(tmp_path: Path) -> None:
    classes(tmp_path / "train", n=5)
    classes(tmp_path / "test", n=2)
    train, test = fetch(dataset(tmp_path))
    assert train.counts() == {"a": 5, "b": 5} and test.counts() == {"a": 2, "b": 2}
    assert np.array_equal(test.pixels[2], read_image(tmp_path / "test" / "b" / "b0.png", SIZE))


def test_one_tree_is_divided_by_the_seed(tmp_path: Path) -> None:
    classes(tmp_path, n=8)
    train, test = fetch(dataset(tmp_path))
    assert train.counts() == {"a": 6, "b": 6} and test.counts() == {"a": 2, "b": 2}
    again, other = fetch(dataset(tmp_path))[1], fetch(dataset(tmp_path, seed=3))[1]
    assert np.array_equal(again.pixels, test.pixels) and not np.array_equal(other.pixels, test.pixels)


def test_the_parts_must_agree_on_their_classes(tmp_path: Path) -> None:
    classes(tmp_path / "train", ("a", "b", "c"))
    classes(tmp_path / "test", ("a", "b"))
    with pytest.raises(ImpastoError, match="class 'c' is in only one of train/ and test/"):
        fetch(dataset(tmp_path))


def test_order_is_that_of_the_names_and_labels_follow(tmp_path: Path) -> None:
    classes(tmp_path, ("zebra", "ägypten", "Ant", "bee 2"), n=2)
    found = read_tree(tmp_path, SIZE)
    assert found.classes == ("Ant", "bee 2", "zebra", "ägypten") and found.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    for row, label in enumerate(found.labels):
        name = found.classes[label]
        assert np.array_equal(found.pixels[row], read_image(tmp_path / name / f"{name}{row % 2}.png", SIZE))


def test_unicode_and_blanks_in_file_names(tmp_path: Path) -> None:
    classes(tmp_path)
    put(tmp_path / "a" / "日本 (1) – ü.png")
    assert read_tree(tmp_path, SIZE).counts() == {"a": 5, "b": 4}


def test_inner_folders_count_and_hidden_and_other_files_do_not(tmp_path: Path) -> None:
    classes(tmp_path)
    put(tmp_path / "a" / "inner" / "deep" / "x.png")
    put(tmp_path / "a" / ".hidden.png")
    put(tmp_path / "a" / ".thumbs" / "y.png")
    put(tmp_path / ".cache" / "z.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "a" / "folder.png").mkdir()
    (tmp_path / "README.md").write_text("no class")
    assert read_tree(tmp_path, SIZE).counts() == {"a": 5, "b": 4}


@pytest.mark.parametrize("link", ["b/lost.png", "b/inner/LOST.JPG", "c"])
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, link: str) -> None:
    classes(tmp_path / "tree")
    (tmp_path / "tree" / "b" / "inner").mkdir()
    (tmp_path / "tree" / link).symlink_to(tmp_path / "gone")
    with pytest.raises(ImpastoError, match=rf"{link} is a link that leads nowhere .*remove the link"):
        read_tree(tmp_path / "tree", SIZE)


def test_other_links_are_followed_or_no_images(tmp_path: Path) -> None:
    classes(tmp_path / "tree")
    for name in ("notes.txt", ".lost.png", ".thumbs"):
        (tmp_path / "tree" / "b" / name).symlink_to(tmp_path / "gone")
    (tmp_path / "tree" / ".cache").symlink_to(tmp_path / "gone")
    (tmp_path / "tree" / "b" / "twin.png").symlink_to(tmp_path / "tree" / "a" / "a0.png")
    (tmp_path / "tree" / "c").symlink_to(tmp_path / "tree" / "a")
    assert read_tree(tmp_path / "tree", SIZE).counts() == {"a": 4, "b": 5, "c": 4}


def test_linked_folders_count_and_circles_are_named(tmp_path: Path) -> None:
    tree = classes(tmp_path / "tree")
    classes(tmp_path / "more", ("x",), n=3)
    (tree / "b" / "more").symlink_to(tmp_path / "more" / "x")
    assert len(read_tree(tree, SIZE)) == 4 + 7
    (tree / "b" / "around").symlink_to(tree)
    with pytest.raises(ImpastoError, match="b/around is a link back to a folder around it"):
        image_files(tree / "b")


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_floats_and_wide_integers_are_scaled_by_the_usual_whites(tmp_path: Path, white: float) -> None:
    """Not by the brightest pixel: a dark image stays dark."""
    for kind in (np.float32, np.int32):
        if white > 1 or kind is np.float32:
            levels = np.full((SIZE, SIZE), 0.6 * white, kind)
            expect(put(tmp_path / f"{kind.__name__}.tiff", Image.fromarray(levels)), np.full(3, 153), 1)


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    levels = np.full((SIZE, SIZE), 0.5, np.float32)
    levels[0, 0] = np.nan
    with pytest.raises(ImpastoError, match="a.tiff cannot be read as an image: it holds values that are not finite"):
        read_image(put(tmp_path / "a.tiff", Image.fromarray(levels)), SIZE)


def test_files_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.png", "a.png", "a/b/y.png", "a-c/x.png", "B.png", "ä.png", "10.png", "9.png"):
        put(tmp_path / name)
    found = image_files(tmp_path)
    assert found == sorted(found) and len(found) == 9
    assert image_files(tmp_path, subfolders=False) == [path for path in found if path.parent == tmp_path]


def test_a_class_without_images(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("")
    with pytest.raises(ImpastoError, match=r"class 'empty' has no images .*\.png.* or remove the folder"):
        read_tree(tmp_path, SIZE)


@pytest.mark.parametrize("names", [(), ("only",)])
def test_fewer_than_two_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    classes(tmp_path, names)
    with pytest.raises(ImpastoError, match="holds one class folder" if names else "holds no class folder"):
        read_tree(tmp_path, SIZE)


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_root_that_is_no_folder(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / "file").write_text("")
    with pytest.raises(ImpastoError, match=rf"{kind} is no directory .dataset\.root."):
        fetch(dataset(tmp_path / kind))


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    classes(tmp_path / "pictures")
    assert len(fetch(dataset(Path("~/pictures")))[0]) == 6


def test_many_files_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads work on chunks; the result is in the order of the files."""
    monkeypatch.setattr("impasto.data.sources.folder._CHUNK", 3)
    files = [put(tmp_path / f"{n}.png", Image.new("RGB", (4, 4), (n, 0, 0))) for n in range(10)]
    assert read_images(files[::-1], SIZE)[:, 0, 0, 0].tolist() == list(range(9, -1, -1))


def test_the_result_is_what_the_other_stages_take(tmp_path: Path) -> None:
    classes(tmp_path / "tree")
    found = read_tree(tmp_path / "tree", SIZE)
    found.save(tmp_path / "saved")
    assert np.array_equal(Images.load(tmp_path / "saved").pixels, found.pixels) and found.source == "image folder tree"
