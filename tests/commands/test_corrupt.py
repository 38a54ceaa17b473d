"""`impasto corrupt`: sets and the gallery from the command line, and what it refuses."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from impasto.cli import app
from impasto.corrupted.stored import StoredSet
from impasto.corruptions import frost_bank
from impasto.corruptions.sets import C15, C19, C_BAR, NAMES
from impasto.data.images import Images
from tiny import pictures


@pytest.fixture(autouse=True)
def clean(root: Path) -> None:
    """A test set where the download stage writes it; no folder of photographs that another test named."""
    Images(*pictures(5), ("a", "b", "c", "d"), "made here").save(root / "data" / "raw" / "test")
    frost_bank.use(None)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["corrupt", *arguments])


def test_single_corruptions(root: Path) -> None:
    done = invoke("--out", "set", "--name", "fog", "--name", "contrast", "--severities", "3, 1", "--seed", "4")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "set: 2 corruptions of 5 images\n"
    found = StoredSet(root / "set")
    assert found.names == ("fog", "contrast") and found.severities == (1, 3) and found.layout == "npy"
    again = invoke("--out", "set", "--name", "fog", "--name", "pixelate", "--severities", "1,3", "--seed", "4")
    assert again.stdout == "set: 2 corruptions of 5 images, 1 of them there already\n"
    assert StoredSet(root / "set").names == ("fog", "contrast", "pixelate")
    again = invoke("--out", "set", "--name", "fog", "--severities", "1,3", "--seed", "4")
    assert again.stdout == "set: 1 corruption of 5 images, there already\n"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], C19),
        (["--set", "c"], C19),
        (["--set", "c15"], C15),
        (["--set", "c-bar"], C_BAR["cifar"]),
        (["--set", "c-bar", "--table", "imagenet"], C_BAR["imagenet"]),
    ],
)
def test_whole_sets(root: Path, words: list[str], names: tuple[str, ...]) -> None:
    done = invoke("--out", "set", "--severities", "1", *words)
    assert done.exit_code == 0, done.stderr
    found = StoredSet(root / "set")
    assert set(found.names) == set(names) and found.layout == ("folders" if "imagenet" in words else "npy")


def test_a_set_with_frost_but_no_photographs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = invoke("--out", "set", "--set", "c15")
    assert done.exit_code == 2 and "photographs of frost" in done.stderr and "frost_procedural" in done.stderr
    assert not (root / "set").exists(), "it is told before anything is written"
    done = invoke("--out", "set", "--name", "frost", "--frost-bank", "nowhere")
    assert done.exit_code == 2 and "nowhere" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "neither --out nor --gallery is given [impasto corrupt]. Name a folder for a set with --out"),
        (["--out", "set", "--gallery", "a.png"], "--out and --gallery exclude each other"),
        (["--out", "set", "--size", "32"], "--out makes no use of --size"),
        (["--out", "set", "--image", "photo.png"], "--out makes no use of --image"),
        (["--gallery", "a.png", "--severities", "1"], "--gallery makes no use of --severities"),
        (["--gallery", "a.png", "--layout", "auto"], "--gallery makes no use of --layout"),
        (["--gallery", "a.png", "--images", "data"], "--gallery makes no use of --images"),
        (["--out", "set", "--set", "c", "--name", "fog"], "--set and --name exclude each other"),
        (["--out", "set", "--set", "d"], "unknown set 'd' [--set]. Use one of c, c15, c-bar."),
        (["--out", "set", "--name", "fogg"], "unknown corruption 'fogg' [corruptions]. Did you mean 'fog'?"),
        (["--out", "set", "--name", "Fog"], "unknown corruption 'Fog' [corruptions]. Did you mean 'fog'?"),
        (["--out", "set", "--name", "fog", "--severities", "1,6"], "severities '1,6' cannot be read"),
        (["--out", "set", "--name", "fog", "--severities", "1,1"], "severities '1,1' cannot be read"),
        (["--out", "set", "--name", "fog", "--severities", ""], "severities '' cannot be read"),
        (["--out", "set", "--name", "fog", "--images", "nowhere"], "nowhere/meta.json does not exist [--images]. Run"),
        (["--out", "data/raw/test", "--name", "fog"], "data/raw/test holds images.npy, which impasto did not write"),
        (["--out", "data/raw/test/meta.json", "--name", "fog"], "is a file"),
        (["--gallery", "a.png", "--name", "fogg"], "Did you mean 'fog'?"),
        (["--gallery", "a.jpg", "--name", "fog"], "a.jpg has no name that ends in .png [--gallery]. Name it a.png."),
        (["--gallery", "a", "--name", "fog"], "a has no name that ends in .png [--gallery]. Name it a.png."),
        (["--gallery", "data/raw"], "data/raw is a folder [--gallery]. Name a file: data/raw/NAME.png."),
        (["--gallery", ".."], ".. is a folder [--gallery]"),
        (["--out", "set", "--name", "fog", "--frost-bank", "nowhere"], "cannot be read: No such file or directory"),
        (["--out", "set", "--name", "fog", "--frost-bank", "data/raw/test"], "[data/raw/test/frost1.png]"),
        (["--gallery", "a.png", "--name", "fog", "--frost-bank", "data/raw/test/meta.json"], "Not a directory"),
        (["--gallery", "a.png", "--image", "nothing.png"], "nothing.png does not exist"),
        (["--gallery", "a.png", "--image", "data/raw/test/meta.json"], "cannot be read as an image"),
    ],
)
def test_what_is_refused_is_one_line(root: Path, words: list[str], told: str) -> None:
    done = invoke(*words)
    assert done.exit_code == 2 and told in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert sorted(path.name for path in root.iterdir()) == ["data"], "it is told before anything is written"


def test_the_photographs_that_a_folder_holds_are_taken(root: Path) -> None:
    shutil.copytree(frost_bank.find(), root / "photographs")
    words = ["--name", "fog", "--severities", "1", "--frost-bank"]
    assert invoke("--out", "set", *words, "photographs").exit_code == 0
    (root / "photographs" / "frost3.png").write_bytes(b"")
    done = invoke("--out", "other", *words, str(root / "photographs"))
    assert done.exit_code == 2 and "frost3.png" in done.stderr and not (root / "other").exists()


@pytest.mark.parametrize("words", [["--table", "tiny"], ["--layout", "zip"], ["--seed", "-1"], ["--size", "8"]])
def test_what_the_options_themselves_refuse(words: list[str]) -> None:
    assert invoke("--out", "set", *words).exit_code == 2


def test_the_gallery_of_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (True, False):
        if not there:
            monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        done = invoke("--gallery", "a.png", "--size", "16")
        assert done.exit_code == 0, done.stderr
        assert ("without frost" in done.stderr) == (not there)
        with Image.open(root / "a.png") as picture:
            assert picture.height == 30 + 100 * (len(NAMES) - (not there))


def test_the_gallery_of_a_photograph(root: Path) -> None:
    Image.fromarray(np.full((50, 70, 3), (10, 20, 30), np.uint8)).save(root / "photo.png")
    words = ["--gallery", "a.png", "--name", "contrast", "--size", "64", "--image", "photo.png"]
    done = invoke(*words)
    assert done.exit_code == 0 and done.stdout == "a.png: 64 px, constants of tin\n"
    with Image.open(root / "a.png") as picture:
        assert (10, 20, 30) in {colour for _, colour in picture.getcolors(10**6)}
