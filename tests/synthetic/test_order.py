"""The order of a pool's classes: exchanged labels are refused, weak and broken scorers are not mistaken for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.data.sources.digits import _mnist, paint
from impasto.errors import ImpastoError
from impasto.io import write_npy
from impasto.rng import numpy_generator
from impasto.synthetic.order import SAMPLE, agreement, check_order, sample_rows
from impasto.synthetic.scorer import fit_scorer
from impasto.synthetic.select import score

NAMES = tuple(f"c{number}" for number in range(200))
CPU = torch.device("cpu")


def weak(labels: np.ndarray, classes: int, accuracy: float, draws: np.random.Generator) -> np.ndarray:
    """A scorer that knows a share of the images and says anything of the others."""
    return np.where(draws.random(len(labels)) < accuracy, labels, draws.integers(classes, size=len(labels)))


@given(
    classes=st.integers(2, 200), each=st.integers(1, 120), accuracy=st.floats(0, 1), favourites=st.integers(1, 200),
    skew=st.floats(0, 3), seed=st.integers(0, 2**31),
)  # fmt: skip
def test_a_right_pool_passes_however_weak_the_scorer(
    classes: int, each: int, accuracy: float, favourites: int, skew: float, seed: int
) -> None:
    """Few images, uneven classes, a scorer that guesses or says a few classes of everything: never refused."""
    draws = np.random.default_rng(seed)
    counts = np.maximum(1, each * np.arange(1, classes + 1, dtype=float) ** -skew).astype(int)
    labels = draws.permutation(np.repeat(np.arange(classes), counts))
    guessed = draws.integers(min(favourites, classes), size=len(labels))
    answers = np.where(draws.random(len(labels)) < accuracy, labels, guessed)
    check_order(labels, answers, NAMES[:classes])


@pytest.mark.parametrize(("classes", "accuracy"), [(2, 0.6), (10, 0.2), (10, 0.9), (100, 0.3), (200, 0.4)])
def test_one_exchanged_pair_is_found_by_a_sample(classes: int, accuracy: float) -> None:
    draws = np.random.default_rng(0)
    true = np.repeat(np.arange(classes), SAMPLE // classes)
    answers = weak(true, classes, accuracy, draws)
    check_order(true, answers, NAMES[:classes])
    first, second = sorted(draws.choice(classes, 2, replace=False))
    swap = np.arange(classes)
    swap[[first, second]] = second, first
    with pytest.raises(ImpastoError, match=rf"\(2 differ\).* 'c{first}' .* for 'c{second}'") as caught:
        check_order(swap[true], answers, NAMES[:classes])
    assert caught.value.where == "synthetic.root" and "Renumber" in caught.value.remedy


def test_another_order_of_all_classes_is_found() -> None:
    draws = np.random.default_rng(0)
    true = np.repeat(np.arange(100), 100)
    with pytest.raises(ImpastoError, match="in another order"):
        check_order(draws.permutation(100)[true], weak(true, 100, 0.25, draws), NAMES[:100])


def test_one_class_taken_for_another_is_no_exchange() -> None:
    """All threes look like eights to the scorer: a poor pool, in the right order."""
    labels = np.repeat(np.arange(10), 100)
    check_order(labels, np.where(labels == 3, 8, labels), NAMES[:10])


def test_agreement_counts_images() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    found = agreement(labels, np.array([1, 1, 0, 0, 0, 2]), ("ash", "birch", "cedar", "dogwood"))
    assert found["images"] == 6 and found["overall"] == pytest.approx(2 / 6, abs=1e-6)
    assert found["best_permutation"] == pytest.approx(5 / 6, abs=1e-6)
    assert found["classes"] == {"ash": pytest.approx(1 / 3, abs=1e-6), "birch": 0, "cedar": 1, "dogwood": None}


def test_the_sample_is_spread_over_each_class() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(3), (5, 400, 1000)))
    rows = sample_rows(labels, 300)
    assert np.bincount(labels[rows]).tolist() == [5, 100, 100] and (np.diff(rows) > 0).all()
    for label in (1, 2):
        places = np.searchsorted(np.flatnonzero(labels == label), rows[labels[rows] == label])
        assert places[0] == 0 and places[-1] == (labels == label).sum() - 1 and np.ptp(np.diff(places)) <= 1


@pytest.mark.slow
def test_digits(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scorer of real coloured digits, barely fitted: right labels pass, exchanged 4 and 9 do not."""
    monkeypatch.setattr("impasto.synthetic.scorer._STEPS", 150)
    monkeypatch.setattr("impasto.synthetic.scorer._EPOCHS", 1)
    grey, true = _mnist()
    pixels = paint(grey, 28, numpy_generator(0, "test"))
    scorer = fit_scorer(torch.from_numpy(pixels[::2]), torch.from_numpy(true[::2]), 10, 0)
    file, labels, names = tmp_path_factory.mktemp("pool") / "images.npy", true[1::2], tuple("0123456789")
    write_npy(file, pixels[1::2])
    rows = sample_rows(labels, 2000)
    found = score(file, labels, scorer, CPU, rows=rows, features=True)
    assert found.features is not None and found.features.shape == (2000, 64)
    np.testing.assert_allclose(np.linalg.norm(found.features.astype(float), axis=1), 1, atol=2e-3)
    seen = agreement(labels[rows], found.answers, names)
    assert 0.3 < seen["overall"] == seen["best_permutation"] < 1
    check_order(labels[rows], found.answers, names)
    swap = np.array([0, 1, 2, 3, 9, 5, 6, 7, 8, 4])
    with pytest.raises(ImpastoError, match=r"those labelled '4' \(label 4\) for '9'"):
        check_order(swap[labels][rows], found.answers, names)
