"""What stands in the pictures: the images that the tables name, the words below them, and no more than fits."""

from __future__ import annotations

import numpy as np
import torch

from impasto.data.images import Images
from impasto.explain.confidence import Answers, ranked, worst
from impasto.explain.panels import looked_rows, ranked_rows
from impasto.explain.sheets import RIGHT, WRONG
from impasto.explain.twins import Twins
from tiny import pictures

CLASSES = tuple(f"class {number}" for number in range(100))
PIXELS, LABELS = pictures(600, classes=100)
TEST = Images(PIXELS, LABELS, CLASSES, "made")


def answers(n: int) -> Answers:
    """The first class is answered best: its images are right; the last ones are wrong."""
    draws = np.random.default_rng(0)
    label = np.where(draws.random(n) < 1 - LABELS[:n] / 100, LABELS[:n], 0)
    return Answers(draws.normal(0, 2, n), label, draws.random(n))


def test_of_a_hundred_classes_ten_are_shown_and_of_these_the_images_of_the_list() -> None:
    given = answers(600)
    shown, listed = worst(given, LABELS, 10), ranked(given, LABELS, 3)
    rows = ranked_rows(listed, given, TEST, shown, 2)
    assert [name for name, _, _ in rows] == [CLASSES[label] for label in shown] and len(rows) == 10
    for label, (_, easy, hard) in zip(shown, rows, strict=True):
        for kind, panels in (("easy", easy), ("hard", hard)):
            wanted = [one.row for one in listed if (one.label, one.kind) == (label, kind)][:2]
            assert len(panels) == len(wanted)
            for row, panel in zip(wanted, panels, strict=True):
                right = given.label[row] == label
                assert np.array_equal(panel.pixels.transpose(2, 0, 1), PIXELS[row])
                assert panel.words.startswith(f"{100 / (1 + np.exp(-given.odds[row])):.1f} %")
                assert panel.words.endswith("\n→ class 0") is not right and panel.colour == (RIGHT if right else WRONG)


def test_an_image_its_twin_and_what_is_told_of_their_maps() -> None:
    rows = np.array([7, 3])
    originals = torch.from_numpy(PIXELS[rows])
    twins = Twins(rows, originals, 255 - originals, torch.tensor([0, 1]), torch.ones(2))
    maps = {"attention_4": np.full((2, 4, 4), 12.345, np.float32), "grad_cam": np.zeros((2, 4, 4), np.float32)}
    maps["grad_cam"][1] = 1
    compared = {
        "attention_4": {"iou": np.array([0.5, 0.25]), "spearman": np.array([-0.001, 1.0])},
        "grad_cam": {"iou": np.array([np.nan, 0.0]), "spearman": np.array([np.nan, -0.5])},
    }
    given = Answers(np.zeros(2), np.array([7, 0]), np.array([0.875, 0.5])), Answers(*(np.zeros(2, int),) * 3)
    (first, twin), (second, other) = looked_rows(twins, TEST, given, (maps, maps), compared, 5)
    assert (first.truth, first.answer, first.confidence) == ("class 7", "class 7", 0.875)
    assert (second.truth, second.answer, twin.answer) == ("class 3", "class 0", "class 0")
    assert np.array_equal(second.pixels, PIXELS[3]) and np.array_equal(other.pixels, 255 - PIXELS[3])
    assert first.words == {"attention_4": "highest 12.3", "grad_cam": "nothing for it"}
    assert twin.words == {"attention_4": "IoU 0.50  ρ 0.00", "grad_cam": "not comparable"}
    assert second.words["grad_cam"] == "" and other.words["grad_cam"] == "IoU 0.00  ρ -0.50"
    assert len(looked_rows(twins, TEST, given, (maps, maps), compared, 1)) == 1
