"""Easy and hard images: in the right order, told apart where probabilities are all 1, and no image both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from impasto.data.images import Images, to_unit
from impasto.explain.confidence import Answers, Ranked, answer, ranked, worst
from tiny import CPU, model, pictures


def answers(odds: list[float], label: list[int]) -> Answers:
    return Answers(np.array(odds), np.array(label), np.zeros(len(label)))


def rows(found: list[Ranked], label: int, kind: str) -> list[int]:
    chosen = [one for one in found if (one.label, one.kind) == (label, kind)]
    assert [one.rank for one in chosen] == list(range(1, len(chosen) + 1))
    return [one.row for one in chosen]


def test_answers_are_the_probabilities_of_the_network() -> None:
    pixels, labels = pictures(11)
    made = model().eval()
    found = answer(made, Images(pixels, labels, tuple("abcd"), "made"), CPU, batch=4)
    with torch.no_grad():
        chance = made(to_unit(torch.from_numpy(pixels))).softmax(1).numpy()
    np.testing.assert_allclose(found.truth, chance[np.arange(11), labels], rtol=1e-5)
    np.testing.assert_allclose(found.odds, np.log(found.truth / (1 - found.truth)), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.confidence, chance.max(1), rtol=1e-5)
    assert found.label.tolist() == chance.argmax(1).tolist()


def test_the_precision_is_that_which_is_asked_for() -> None:
    pixels, labels = pictures(11)
    made, shown = model().eval(), Images(pixels, labels, tuple("abcd"), "made")
    found = answer(made, shown, CPU, "bf16")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        chance = made(to_unit(torch.from_numpy(pixels))).double().softmax(1).numpy()
    np.testing.assert_array_equal(found.confidence, chance.max(1))
    assert (found.confidence != answer(made, shown, CPU, "fp32").confidence).any()


class Sure(nn.Module):
    """Logits so far apart that every probability is 1, in double precision too."""

    def forward(self, images: Tensor) -> Tensor:
        lead = 40 + images.amax((1, 2, 3))
        return torch.stack([lead, torch.zeros_like(lead)], 1)


def test_images_of_probability_one_are_told_apart() -> None:
    pixels = np.zeros((4, 3, 8, 8), np.uint8)
    pixels[:, 0, 0, 0] = (10, 40, 20, 30)
    found = answer(Sure(), Images(pixels, np.zeros(4, np.int64), ("a", "b"), "made"), CPU)
    assert (found.truth == 1).all() and (found.confidence == 1).all()
    assert rows(ranked(found, np.zeros(4, np.int64), 2), 0, "easy") == [1, 3]


def test_easy_from_the_surest_on_and_hard_from_the_least_sure_on() -> None:
    draws = np.random.default_rng(2)
    labels, truth = np.arange(60) % 3, -draws.exponential(1, 60)
    label = np.where(draws.random(60) < 0.7, labels, (labels + 1) % 3)
    found = ranked(answers(truth.tolist(), label.tolist()), labels, 5)
    for one in range(3):
        own = np.flatnonzero(labels == one)
        right = [row for row in own if label[row] == one]
        assert rows(found, one, "easy") == sorted(right, key=lambda row: -truth[row])[:5]
        assert rows(found, one, "hard") == sorted(own, key=lambda row: truth[row])[:5]
    assert [(one.label, one.kind) for one in found] == [
        (c, k) for c in range(3) for k in ("easy", "hard") for _ in "12345"
    ]


def test_equals_stand_in_the_order_of_the_images() -> None:
    found = ranked(answers([-1.0] * 8, [0] * 8), np.zeros(8, np.int64), 3)
    assert rows(found, 0, "hard") == [0, 1, 2] and rows(found, 0, "easy") == [3, 4, 5]


@pytest.mark.parametrize(
    ("count", "easy", "hard"), [(1, [], [0]), (2, [1], [0]), (3, [2], [0, 1]), (4, [3, 2], [0, 1])]
)
def test_no_image_is_both(count: int, easy: list[int], hard: list[int]) -> None:
    found = ranked(answers([float(i - 9) for i in range(count)], [0] * count), np.zeros(count, np.int64), 4)
    assert (rows(found, 0, "easy"), rows(found, 0, "hard")) == (easy, hard)


def test_an_image_that_is_answered_wrongly_is_never_easy() -> None:
    found = ranked(answers([-0.1, -0.2, -0.7, -0.8], [1, 0, 1, 0]), np.zeros(4, np.int64), 2)
    assert rows(found, 0, "easy") == [1] and rows(found, 0, "hard") == [3, 2]


def test_of_many_classes_the_worst() -> None:
    """Recalls 1, 0, 1/2, 0 of classes 0, 1, 2, 4; class 3 has no image."""
    labels = np.array([0, 0, 1, 1, 2, 2, 4, 4])
    found = answers([0.0] * 8, [0, 0, 0, 0, 2, 0, 0, 0])
    assert worst(found, labels, 4) == [0, 1, 2, 4]
    assert worst(found, labels, 3) == [1, 4, 2] and worst(found, labels, 1) == [1]
