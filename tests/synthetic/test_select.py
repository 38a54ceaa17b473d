"""Selection: quotas, the best share, streaming and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.io import write_npy
from impasto.rng import numpy_generator
from impasto.synthetic.quota import interleaved, quotas
from impasto.synthetic.scorer import Seen, fit_scorer, steps_for
from impasto.synthetic.select import score, select

CPU = torch.device("cpu")
CLASSES = ("ash", "birch", "cedar")


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any), st.integers(0, 5000))
def test_quotas_are_within_one_of_exact(counts: list[int], total: int) -> None:
    weights = np.array(counts)
    found = quotas(weights, total)
    assert found.sum() == total
    assert (np.abs(found - weights / weights.sum() * total) < 1 + 1e-9).all()


def test_quotas_give_what_is_left_to_the_largest_remainders() -> None:
    assert quotas(np.array([1, 1, 1]), 8).tolist() == [3, 3, 2]
    assert quotas(np.array([50, 31, 19]), 10).tolist() == [5, 3, 2]
    assert quotas(np.array([3, 0, 1]), 4).tolist() == [3, 0, 1]


def test_interleaved_labels_hold_their_shares_everywhere() -> None:
    labels = interleaved(np.array([60, 30, 0, 10]))
    assert np.bincount(labels).tolist() == [60, 30, 0, 10]
    for start in range(0, 100, 20):
        assert np.abs(np.bincount(labels[start : start + 20], minlength=4) - [12, 6, 0, 2]).max() <= 1


def pool() -> tuple[np.ndarray, np.ndarray]:
    source = numpy_generator(0, "test")
    return source.integers(3, size=300), source.random(300, dtype=np.float32)


def test_a_quota_of_the_best_share() -> None:
    labels, scores = pool()
    quota = np.array([20, 10, 30])
    chosen = select(labels, scores, quota, 0.5, CLASSES, 0)
    assert np.bincount(labels[chosen.rows]).tolist() == quota.tolist()
    assert (np.diff(chosen.rows) > 0).all() and chosen.rows.dtype == np.int64
    assert np.array_equal(chosen.scores, scores[chosen.rows])
    for label in range(3):
        allowed = sorted(scores[labels == label], reverse=True)[: round(0.5 * (labels == label).sum())]
        picked = scores[chosen.rows][labels[chosen.rows] == label]
        assert set(picked) <= set(allowed) and set(picked) != set(allowed[: len(picked)])


def test_depends_on_the_seed_alone() -> None:
    labels, scores = pool()
    rows = [select(labels, scores, np.array([9, 9, 9]), 0.8, CLASSES, seed).rows for seed in (0, 0, 1)]
    assert np.array_equal(rows[0], rows[1]) and not np.array_equal(rows[0], rows[2])


def test_manifest() -> None:
    labels, scores = pool()
    manifest = select(labels, scores, np.array([5, 6, 0]), 0.5, CLASSES, 0).manifest
    assert manifest["selected"] == {"ash": 5, "birch": 6, "cedar": 0} and manifest["n"] == 11
    assert sum(manifest["pool"].values()) == 300
    assert manifest["pool_scores"]["0.5"] == pytest.approx(np.median(scores), abs=1e-5)
    assert manifest["selected_scores"]["0"] > manifest["pool_scores"]["0.25"]


def test_without_scores_every_image_may_be_chosen() -> None:
    labels, _ = pool()
    full = np.bincount(labels)
    chosen = select(labels, None, full, 1.0, CLASSES, 0)
    assert chosen.rows.tolist() == list(range(300)) and len(chosen.scores) == 0
    assert chosen.manifest["scored"] is False and "pool_scores" not in chosen.manifest


@pytest.mark.parametrize("scored", [True, False])
def test_a_whole_pool_that_is_uneven_is_taken_whole(scored: bool) -> None:
    """As TinyImageNet's million: the training images are even, the pool is not."""
    labels, scores = pool()
    quota, found = quotas(np.ones(3), 300), np.bincount(labels)
    assert (found != quota).any()
    chosen = select(labels, scores if scored else None, quota, 1.0, CLASSES, 0)
    assert chosen.rows.tolist() == list(range(300))
    assert chosen.manifest["selected"] == dict(zip(CLASSES, found.tolist(), strict=True))
    assert chosen.manifest["quota_not_kept"] == dict.fromkeys(CLASSES, 100)
    assert "quota_not_kept" not in select(labels, scores, found, 1.0, CLASSES, 0).manifest
    for fewer, keep in ((quota - [1, 1, 1], 1.0), (quota, 0.99)):
        with pytest.raises(ImpastoError, match="needs .* synthetic images, but the pool has"):
            select(labels, scores, fewer, keep, CLASSES, 0)


def test_an_empty_quota_gives_an_empty_subset() -> None:
    labels, scores = pool()
    assert len(select(labels, scores, np.zeros(3, np.int64), 0.5, CLASSES, 0).rows) == 0


def test_too_few_names_the_class_and_the_counts() -> None:
    labels = np.array([0] * 10 + [1] * 4 + [2] * 10)
    with pytest.raises(ImpastoError, match="'birch' needs 3 .* has 4, of which 2"):
        select(labels, np.ones(24, np.float32), np.array([3, 3, 3]), 0.5, CLASSES, 0)


def dim_or_bright(images: Tensor) -> Seen:
    bright = images.float().mean((1, 2, 3)) / 255
    return Seen(torch.stack([1 - bright, bright], 1), images[:, 0, 0, :2] / 255)


def test_chunks_score_as_the_whole(tmp_path: Path) -> None:
    source = numpy_generator(0, "test")
    pixels, labels = source.integers(256, size=(50, 3, 8, 8), dtype=np.uint8), source.integers(2, size=50)
    write_npy(tmp_path / "images.npy", pixels)
    bright = pixels.mean((1, 2, 3)) / 255
    expected = np.where(labels == 1, bright, 1 - bright)
    rows = np.array([3, 4, 20, 49])
    for chunk in (1, 7, 50, 64):
        found = score(tmp_path / "images.npy", labels, dim_or_bright, CPU, chunk)
        np.testing.assert_allclose(found.scores, expected, atol=1e-6)
        assert np.array_equal(found.answers, bright > 0.5) and found.features is None
        some = score(tmp_path / "images.npy", labels, dim_or_bright, CPU, chunk, rows, features=True)
        assert np.array_equal(some.scores, found.scores[rows]) and np.array_equal(some.answers, found.answers[rows])
        assert some.features is not None and some.features.dtype == np.float16
        np.testing.assert_allclose(some.features, pixels[rows, 0, 0, :2] / 255, atol=1e-3)


def test_the_scorers_steps_do_not_grow_with_the_data() -> None:
    assert steps_for(3500) == 300, "the default run"
    assert [steps_for(n) for n in (1, 3840, 3853, 5120)] == [300, 300, 301, 400]
    assert steps_for(49_500) == steps_for(100_000) == 600


def test_the_scorer_learns_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.synthetic.scorer._STEPS", 12)
    labels = torch.arange(40) % 2
    noise = torch.randint(60, (40, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    images = (noise + 150 * labels[:, None, None, None]).to(torch.uint8)
    first, second = (fit_scorer(images, labels, 2, 0)(images) for _ in range(2))
    assert torch.equal(first.probabilities, second.probabilities) and torch.equal(first.features, second.features)
    torch.testing.assert_close(first.probabilities.sum(1), torch.ones(40))
    torch.testing.assert_close(first.features.norm(dim=1), torch.ones(40))
    assert (first.probabilities.argmax(1) == labels).all()
