"""Corrupted test sets on the fly and from files: the same images behind one door."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from impasto.corrupted.make import plan, regenerate
from impasto.corrupted.sources import CLEAN, Generated, Official, choose, open_sets
from impasto.corruptions import frost_bank
from impasto.corruptions.sets import C19, C_BAR
from impasto.data.images import Images
from impasto.errors import ImpastoError
from impasto.evaluation import predict_all
from impasto.scores import score
from tiny import CPU, evaluate, model, pictures

NAMES = ("a", "b", "c", "d")
SEED = 4  # of tiny.evaluate


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Images]:
    folder = tmp_path_factory.mktemp("clean")
    pixels, labels = pictures(30)
    Images(pixels.repeat(2, 2).repeat(2, 3), labels, NAMES, "made here").save(folder)
    return folder, Images.load(folder)


@pytest.fixture
def no_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.parametrize("beside", [False, True], ids=["the set itself", "a folder of sets"])
def test_files_hold_what_is_generated(clean: tuple[Path, Images], tmp_path: Path, beside: bool) -> None:
    folder, images = clean
    out = tmp_path / "sets" / "c"
    regenerate(folder, out, ["gaussian_noise", "contrast"], plan(folder, SEED, "cifar", (1, 5), "npy"), CPU)
    root = out.parent if beside else out
    there = open_sets(images, evaluate(corrupted="official", root=str(root)), choose(evaluate(), 32), CPU)
    made = open_sets(images, evaluate(), choose(evaluate(), 32), CPU)
    assert isinstance(there, Official) and isinstance(made, Generated)
    assert "regenerated" in there.source and made.source == "generated"
    for cell in [CLEAN, ("gaussian_noise", 1), ("gaussian_noise", 5), ("contrast", 5)]:
        assert np.array_equal(there.labels(cell), made.labels(cell))
        for rows in (slice(0, 7), slice(7, 30)):
            one, other = there.batch(cell, rows), made.batch(cell, rows)
            assert one.dtype == torch.uint8 and torch.equal(one, other)


def test_files_that_change_are_another_state(clean: tuple[Path, Images], tmp_path: Path) -> None:
    """DVC watches none of them: a killed evaluation would go on with other images."""
    folder, images = clean
    regenerate(folder, tmp_path, ["contrast"], plan(folder, SEED, "cifar", (1,), "npy"), CPU)
    states = {Official(images, tmp_path, ["contrast"], CPU).state for _ in range(2)}
    assert len(states) == 1 and Generated(images, evaluate(), CPU).state == ()
    for name in ("contrast.npy", "labels.npy"):
        os.utime(tmp_path / name, ns=(1, 1))
        states.add(Official(images, tmp_path, ["contrast"], CPU).state)
    assert len(states) == 3


def test_folders_of_jpeg_files_are_sorted_by_class(clean: tuple[Path, Images], tmp_path: Path) -> None:
    folder, images = clean
    regenerate(folder, tmp_path / "c", ["contrast"], plan(folder, SEED, "cifar", (5,), "folders"), CPU)
    there = Official(images, tmp_path / "c", ["contrast"], CPU)
    labels, order = there.labels(("contrast", 5)), np.argsort(images.labels, kind="stable")
    assert np.array_equal(labels, images.labels[order])
    made = Generated(images, evaluate(), CPU).batch(("contrast", 5), slice(0, 30))[torch.from_numpy(order)]
    found = there.batch(("contrast", 5), slice(0, 30))
    assert (found.float() - made.float()).abs().mean() < 6, "JPEG is lossy, but not that lossy"


def test_files_may_hold_the_images_in_another_order(clean: tuple[Path, Images], tmp_path: Path) -> None:
    """The published sets keep the order of the dataset, a folder of class folders has its own."""
    folder, images = clean
    regenerate(folder, tmp_path / "c", ["contrast"], plan(folder, SEED, "cifar", (1,), "npy"), CPU)
    order = np.argsort(images.labels, kind="stable")
    there = Official(images.take(order), tmp_path / "c", ["contrast"], CPU)
    assert np.array_equal(there.labels(CLEAN), images.labels[order])
    assert np.array_equal(there.labels(("contrast", 1)), images.labels)
    found = predict_all({"one": model().eval()}, there, [CLEAN, ("contrast", 1)], CPU, "fp32")["one"]
    assert np.array_equal(found.labels[1], images.labels)
    assert score(found, NAMES, {"C": ("contrast",)}, 100, 0)["C_interval"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda i: Images(i.pixels, np.zeros_like(i.labels), NAMES, ""), "8 images of class 0, the clean set 30"),
        (lambda i: Images(i.pixels[:, :, :16, :16], i.labels, NAMES, ""), "32x32 px, the clean set of 16x16"),
    ],
)
@pytest.mark.parametrize("layout", ["npy", "folders"])
def test_files_of_another_test_set_are_refused(
    clean: tuple[Path, Images], tmp_path: Path, layout: str, change: Callable[[Images], Images], told: str
) -> None:
    folder, images = clean
    regenerate(folder, tmp_path / "c", ["contrast"], plan(folder, SEED, "cifar", (1,), layout), CPU)
    with pytest.raises(ImpastoError, match=told):
        Official(change(images), tmp_path / "c", ["contrast"], CPU)


def test_class_folders_of_other_classes_are_refused(clean: tuple[Path, Images], tmp_path: Path) -> None:
    folder, images = clean
    regenerate(folder, tmp_path / "c", ["contrast"], plan(folder, SEED, "cifar", (1,), "folders"), CPU)
    with pytest.raises(ImpastoError, match="other classes than the clean set: d"):
        Official(Images(images.pixels, images.labels, ("a", "b", "c", "e"), ""), tmp_path / "c", ["contrast"], CPU)


def test_a_missing_set_or_corruption_is_named(clean: tuple[Path, Images], tmp_path: Path) -> None:
    folder, images = clean
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ImpastoError, match="impasto fetch"):
            Official(images, place, ["fog"], CPU)
    regenerate(folder, tmp_path / "c", ["contrast"], plan(folder, SEED, "cifar", (1,), "npy"), CPU)
    with pytest.raises(ImpastoError, match=r"no set under .* has fog .*Leave it out"):
        Official(images, tmp_path, ["contrast", "fog"], CPU)


def test_a_set_made_of_other_images_is_refused(clean: tuple[Path, Images], tmp_path: Path) -> None:
    folder, images = clean
    regenerate(folder, tmp_path / "c", ["contrast"], plan(folder, SEED, "cifar", (1,), "npy"), CPU)
    there = Official(images, tmp_path / "c", ["contrast"], CPU)
    assert there.source == f"c, regenerated with the constants of cifar, seed {SEED}"
    Images(255 - images.pixels, images.labels, NAMES, "inverted").save(tmp_path / "other")
    with pytest.raises(ImpastoError, match="was made of other images"):
        Official(Images.load(tmp_path / "other"), tmp_path / "c", ["contrast"], CPU)


def save(folder: Path, pixels: np.ndarray, labels: np.ndarray, classes: tuple[str, ...] = NAMES) -> Images:
    Images(pixels, labels, classes, "made here").save(folder)
    return Images.load(folder)


def arrays(root: Path, pixels: np.ndarray, labels: np.ndarray, name: str = "contrast") -> None:
    """A set of which nothing is known: five times the plain images."""
    root.mkdir(parents=True)
    np.save(root / f"{name}.npy", np.concatenate([pixels.transpose(0, 2, 3, 1)] * 5))
    np.save(root / "labels.npy", np.tile(labels, 5))


def others(images: Images) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pixels and labels of other datasets."""
    pixels, labels = np.array(images.pixels), images.labels
    return {
        "size": (pixels[:, :, :16, :16], labels),
        "more classes": (pixels, np.arange(30) % 10),
        "fewer classes": (pixels, np.arange(30) % 2),
        "fewer images": (pixels[:20], labels[:20]),
    }


@pytest.mark.parametrize("kind", ["size", "more classes", "fewer classes", "fewer images"])
def test_a_set_of_another_dataset_beside_the_wanted_one_is_passed_over(
    clean: tuple[Path, Images], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    folder, images = clean
    sets = tmp_path / "sets"
    arrays(sets / "a-other", *others(images)[kind])  # first by name: it must not be the one that is read
    regenerate(folder, sets / "mine", ["contrast"], plan(folder, SEED, "cifar", (1,), "npy"), CPU)
    alone = Official(images, sets / "mine", ["contrast"], CPU)
    capsys.readouterr()
    beside = Official(images, sets, ["contrast"], CPU)
    told = capsys.readouterr().err
    file = "contrast.npy" if kind == "size" else "labels.npy"
    assert told.startswith(f"passed over: {sets / 'a-other' / file} holds ") and told.count("\n") == 1
    cell, rows = ("contrast", 1), slice(0, 30)
    assert torch.equal(beside.batch(cell, rows), alone.batch(cell, rows)) and beside.source == alone.source
    with pytest.raises(ImpastoError, match=r"no set under .* has fog \(passed over: .*a-other.*\)"):
        Official(images, sets, ["contrast", "fog"], CPU)
    with pytest.raises(ImpastoError, match=r"a-other/\w+.npy holds .*another dataset"):
        Official(images, sets / "a-other", ["contrast"], CPU)


def test_a_set_made_of_other_images_is_passed_over_beside_the_wanted_one(
    clean: tuple[Path, Images], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, images = clean
    save(tmp_path / "inverted", 255 - images.pixels, images.labels)
    for source, out in ((tmp_path / "inverted", "a-other"), (folder, "mine")):
        regenerate(source, tmp_path / "sets" / out, ["contrast"], plan(source, 0, "cifar", (1,), "npy"), CPU)
    capsys.readouterr()
    assert Official(images, tmp_path / "sets", ["contrast"], CPU).source.startswith("mine, ")
    assert "a-other was made of other images" in capsys.readouterr().err


def test_where_no_set_fits_each_one_is_named(clean: tuple[Path, Images], tmp_path: Path) -> None:
    _, images = clean
    kinds = others(images)
    arrays(tmp_path / "one", *kinds["size"])
    with pytest.raises(ImpastoError, match=r"one/contrast.npy holds images of 16x16 px"):
        Official(images, tmp_path, ["contrast"], CPU)
    arrays(tmp_path / "two", *kinds["more classes"])
    told = r"no set under .* is of the clean test images: .*one/contrast.npy holds .*; .*two/labels.npy holds "
    with pytest.raises(ImpastoError, match=told):
        Official(images, tmp_path, ["contrast"], CPU)


@pytest.mark.parametrize("damage", ["checksum", "labels", "one array"])
def test_a_damaged_set_of_this_dataset_is_not_passed_over(
    clean: tuple[Path, Images], tmp_path: Path, damage: str
) -> None:
    folder, images = clean
    regenerate(folder, tmp_path / "whole", ["contrast"], plan(folder, SEED, "cifar", (1,), "npy"), CPU)
    if damage == "checksum":
        regenerate(folder, tmp_path / "a", ["contrast"], plan(folder, SEED, "cifar", (1,), "npy"), CPU)
        content = bytearray((tmp_path / "a" / "contrast.npy").read_bytes())
        content[-1] ^= 1
        (tmp_path / "a" / "contrast.npy").write_bytes(content)
    elif damage == "labels":
        arrays(tmp_path / "a", np.array(images.pixels), np.where(np.arange(30) == 7, 0, images.labels))
    else:
        arrays(tmp_path / "a", np.array(images.pixels), images.labels)
        np.save(tmp_path / "a" / "pixelate.npy", np.zeros((5 * 30, 16, 16, 3), np.uint8))
    asked = ["contrast", "pixelate"] if damage == "one array" else ["contrast"]
    with pytest.raises(ImpastoError, match=r"/a/(contrast|labels|pixelate).npy "):
        Official(images, tmp_path, asked, CPU)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("kind", ["published", "made", "size", "more classes", "folders"])
def test_a_damaged_set_of_another_dataset_is_passed_over_too(
    clean: tuple[Path, Images], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Whose set it is, is known before its arrays are opened or hashed."""
    folder, images = clean
    sets, foreign = tmp_path / "sets", tmp_path / "sets" / ("CIFAR-100-C" if kind == "published" else "a-other")
    source, layout = tmp_path / "source", "folders" if kind == "folders" else "npy"
    if kind in {"made", "folders"}:
        save(source, 255 - images.pixels, images.labels, ("n1", "n2", "n3", "n4"))
        regenerate(source, foreign, ["contrast"], plan(source, 0, "cifar", (1,), layout), CPU)
    else:
        arrays(foreign, *others(images).get(kind, (np.array(images.pixels), images.labels)))
    if kind == "folders":
        (foreign / "impasto.json").unlink()
    cut(min((foreign / "contrast" / "1" / "n1").iterdir()) if kind == "folders" else foreign / "contrast.npy")
    regenerate(folder, sets / "mine", ["contrast"], plan(folder, SEED, "cifar", (1,), "npy"), CPU)
    capsys.readouterr()
    assert Official(images, sets, ["contrast"], CPU).source.startswith("mine, ")
    told = capsys.readouterr().err
    assert told.startswith(f"passed over: {foreign}") and told.count("\n") == 1


def test_only_the_corruptions_that_are_asked_for_are_opened(clean: tuple[Path, Images], tmp_path: Path) -> None:
    folder, images = clean
    regenerate(folder, tmp_path / "c", ["contrast", "pixelate"], plan(folder, SEED, "cifar", (1,), "npy"), CPU)
    cut(tmp_path / "c" / "pixelate.npy")
    assert Official(images, tmp_path, ["contrast"], CPU).labels(("contrast", 1)).shape == (30,)
    with pytest.raises(ImpastoError, match=r"pixelate.npy has [\d,]+ bytes, expected"):
        Official(images, tmp_path, ["contrast", "pixelate"], CPU)


def test_a_corruption_in_two_sets_is_refused(clean: tuple[Path, Images], tmp_path: Path) -> None:
    folder, images = clean
    for seed, name in enumerate(("one", "two")):
        regenerate(folder, tmp_path / name, ["contrast"], plan(folder, seed, "cifar", (1,), "npy"), CPU)
    with pytest.raises(ImpastoError, match=r"contrast is in .*/one and in .*/two .*evaluate.root"):
        Official(images, tmp_path, ["contrast"], CPU)
    assert Official(images, tmp_path / "two", ["contrast"], CPU).source.startswith("two, ")


def test_sets_of_different_corruptions_stand_beside_each_other(clean: tuple[Path, Images], tmp_path: Path) -> None:
    """-C and -C-bar; the source names those that are read."""
    folder, images = clean
    for name, corruption in (("X-C", "contrast"), ("X-C-bar", "lines")):
        regenerate(folder, tmp_path / name, [corruption], plan(folder, SEED, "cifar", (1,), "npy"), CPU)
    made = Generated(images, evaluate(), CPU)
    both = Official(images, tmp_path, ["contrast", "lines"], CPU)
    for cell in (("contrast", 1), ("lines", 1)):
        assert torch.equal(both.batch(cell, slice(0, 30)), made.batch(cell, slice(0, 30)))
    assert [part.split(",")[0] for part in both.source.split("; ")] == ["X-C", "X-C-bar"]
    assert Official(images, tmp_path, ["lines"], CPU).source.startswith("X-C-bar, ")


def test_class_folders_with_numbers_for_names_are_no_sets(clean: tuple[Path, Images], tmp_path: Path) -> None:
    _, images = clean
    numbered = save(tmp_path / "clean", images.pixels, images.labels, ("0", "1", "2", "3"))
    planned = plan(tmp_path / "clean", SEED, "cifar", (1, 2), "folders")
    regenerate(tmp_path / "clean", tmp_path / "c", ["contrast"], planned, CPU)
    assert Official(numbered, tmp_path / "c", ["contrast"], CPU).source.count("regenerated") == 1


def test_means_of_what_is_measured() -> None:
    files = {"corrupted": "official", "root": "x"}
    choice = choose(evaluate(corruptions=["c"], c_bar=["ripple", "blue_noise_sample"], **files), 32)
    assert choice.names == (*C19, "ripple", "blue_noise_sample")
    assert choice.means["C"] == C19 and len(choice.means["C15"]) == 15
    assert choice.means["C_bar"] == ("ripple", "blue_noise_sample")
    assert set(choice.means["C"]) - set(choice.means["without_noise"]) == {
        "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise",
    }  # fmt: skip
    assert choice.cells([1, 5])[:3] == [CLEAN, ("gaussian_noise", 1), ("gaussian_noise", 5)]
    assert list(choose(evaluate(), 32).means) == ["C", "without_noise"]


def test_benchmarks_are_written_out_by_the_table() -> None:
    asked = evaluate(corruptions=["c15", "fog", "spatter"], c_bar=["c-bar"], table="auto")
    small, large = choose(asked, 32), choose(asked, 224)
    assert small.means["C"] == large.means["C"] == (*C19[:15], "spatter")
    assert small.means["C_bar"] == C_BAR["cifar"] and large.means["C_bar"] == C_BAR["imagenet"]


@pytest.mark.usefixtures("no_photographs")
def test_without_photographs_procedural_frost_is_measured_and_counted_nowhere() -> None:
    choice = choose(evaluate(corruptions=["frost", "fog"]), 32)
    assert choice.names == ("frost_procedural", "fog") and choice.means["C"] == ("fog",)
    assert "C15" not in choose(evaluate(corruptions=list(C19)), 32).means
    both = choose(evaluate(corruptions=["frost", "fog", "frost_procedural"]), 32)
    assert both.names == ("frost_procedural", "fog") and both.means["C"] == ("fog", "frost_procedural")
    with pytest.raises(ImpastoError, match="left with no corruption"):
        choose(evaluate(corruptions=["frost"]), 32)
    barred = choose(evaluate(corruptions=["fog"], c_bar=["frost", "lines"]), 32)
    assert barred.names == ("fog", "frost_procedural", "lines") and barred.means["C_bar"] == ("lines",)
    assert choose(evaluate(corruptions=["frost"], corrupted="official", root="x"), 32).names == ("frost",)


def test_with_photographs_frost_counts(tmp_path: Path) -> None:
    choice = choose(evaluate(corruptions=["frost", "fog"]), 32)
    assert choice.means["C"] == ("frost", "fog"), "the tests' own dependency carries them"
    with pytest.raises(ImpastoError, match="frost1"):
        choose(evaluate(corruptions=["frost"], frost_bank=str(tmp_path)), 32)
    frost_bank.use(None)
