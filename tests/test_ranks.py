"""Two processes compute what one does: the same steps on the same global batches."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from impasto import ranks
from impasto.errors import ImpastoError
from impasto.models.shared_batch_norm import share_batch_norm
from ranked import RUNS, batches, depths, everything, together

CLOSE = {"rtol": 1e-4, "atol": 1e-6}  # the loss works in float32, and a dozen steps follow each other


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the processes has found."""
    patch = pytest.MonkeyPatch()
    for name, value in {"IMPASTO_DEVICE": "cpu", "IMPASTO_THREADS": "1", "OMP_NUM_THREADS": "1"}.items():
        patch.setenv(name, value)
    found = together(request.param, tmp_path_factory.mktemp("many"))
    patch.undo()
    return found


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What this process alone finds."""
    patch, folder = pytest.MonkeyPatch(), tmp_path_factory.mktemp("one")
    patch.setenv("DVC_ROOT", str(folder))
    found = everything(folder)
    patch.undo()
    return found


def test_one_process_forms_no_group(one: dict[str, Any]) -> None:
    assert not dist.is_initialized() and (ranks.index(), ranks.count()) == (0, 1)
    assert one["told"] == {"from": 0}


@pytest.mark.parametrize("name", [*(f"run {name}" for name in RUNS), "run plain, frozen"])
def test_a_run_ends_where_one_process_does(one: dict[str, Any], many: list[dict[str, Any]], name: str) -> None:
    """Unequal last batches, one of fewer images than processes, averaging, mixing, views, frozen blocks, dropout."""
    for found in many:
        torch.testing.assert_close(found[name]["state"], one[name]["state"], **CLOSE)
        torch.testing.assert_close(found[name]["history"], one[name]["history"], **CLOSE)
        assert torch.equal(found[name]["paintings"], one[name]["paintings"]) and len(found[name]["paintings"])


@pytest.mark.parametrize("name", [f"run {name}" for name in RUNS])
def test_all_processes_have_the_same_bits(many: list[dict[str, Any]], name: str) -> None:
    """Weights that drift apart would no longer be those of one model."""
    for found in many[1:]:
        assert all(torch.equal(found[name]["state"][k], v) for k, v in many[0][name]["state"].items())
        assert found[name]["history"] == many[0][name]["history"]


def test_all_choose_the_same_epoch_and_stop_at_the_same(one: dict[str, Any], many: list[dict[str, Any]]) -> None:
    """The second of four epochs is worse, which ends the first phase; the second phase goes on from the best model."""
    name = "run plain, chosen"
    for found in many:
        assert found[name]["history"] == many[0][name]["history"]
        assert [row["learning_rate"] for row in found[name]["history"][:-1]] == [0.02, 5.0, 0.01]
        torch.testing.assert_close(found[name]["history"], one[name]["history"], **CLOSE)
        torch.testing.assert_close(found[name]["state"], one[name]["state"], **CLOSE)


@pytest.mark.parametrize("n", batches())
def test_batch_norm_sees_the_whole_batch(one: dict[str, Any], many: list[dict[str, Any]], n: int) -> None:
    """Of unequal shares too; with fewer images than processes, each has them all."""
    wanted, count = one["statistics"][n], len(many)
    for rank, parts in enumerate(many):
        found, own = parts["statistics"][n], slice(rank, None, count) if n >= count else slice(None)
        scale = 1 if n >= count else count  # each has its share of the weight
        torch.testing.assert_close(found["out"], wanted["out"][own])
        torch.testing.assert_close(found["images"] * scale, wanted["images"][own])
        for name in wanted.keys() - {"out", "images"}:
            torch.testing.assert_close(found[name], wanted[name])


def test_a_batch_norm_of_unknown_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be replaced by one that does less; alone it may stay."""

    class Own(nn.BatchNorm2d):
        def forward(self, features: Tensor) -> Tensor:
            return 2 * super().forward(features)

    share_batch_norm(nn.Sequential(Own(3)))
    monkeypatch.setattr(ranks, "count", lambda: 2)
    with pytest.raises(ImpastoError, match=r"a Own, .*several processes cannot share \[model.name\]"):
        share_batch_norm(nn.Sequential(Own(3)))


@pytest.mark.parametrize("count", [1, 3])
def test_parts_and_processes_make_one_gradient(one: dict[str, Any], many: list[dict[str, Any]], count: int) -> None:
    for found in many:
        torch.testing.assert_close(found["gradient"][count], one["gradient"][1], rtol=1e-5, atol=1e-7)


def test_parts_of_all_processes_are_dropped_mixed_and_noisy_together(
    one: dict[str, Any], many: list[dict[str, Any]]
) -> None:
    """As if one process had these parts."""
    for found in many:
        wanted = one["inside"][len(many)]
        torch.testing.assert_close(found["inside"][len(many)], wanted, rtol=1e-5, atol=1e-7)


def test_the_runs_reach_every_place_inside_a_network() -> None:
    """With batches of 16, 5 and 1 images."""
    assert depths("feature noise siedel") == [1, 1] and depths("noisymix with views") == [2, 0, 3]


def test_measured_and_told(one: dict[str, Any], many: list[dict[str, Any]]) -> None:
    for found in many:
        assert found["measured"] == pytest.approx(one["measured"], rel=1e-6) and found["told"] == {"from": 0}


def test_the_answers_are_those_of_one_process_to_the_bit(one: dict[str, Any], many: list[dict[str, Any]]) -> None:
    for found in many:
        for name in one["answers"].keys() - {"asked"}:
            assert torch.equal(found["answers"][name], one["answers"][name]), name
    confidence = one["answers"]["confidence of 1"]
    assert confidence.unique().numel() == confidence.numel() == 50, "an answer of another image would be seen"


def test_each_batch_of_an_evaluation_is_made_by_one_process(one: dict[str, Any], many: list[dict[str, Any]]) -> None:
    """Those of one process, and as many for each as the others have, or one more."""
    shares = [found["answers"]["asked"] for found in many]
    assert sorted(chain(*shares)) == sorted(one["answers"]["asked"]) and len(one["answers"]["asked"]) == 15
    assert {len(share) for share in shares} == {15 // len(many), -(-15 // len(many))}


def test_the_frechet_curve_is_that_of_one_process_to_the_bit(one: dict[str, Any], many: list[dict[str, Any]]) -> None:
    wanted = one["curve"]
    assert len(set(wanted["values"])) > 9 and wanted["original"] > 0
    for found in (each["curve"] for each in many):
        assert (found["values"], found["original"]) == (wanted["values"], wanted["original"])
        assert torch.equal(found["sum"], wanted["sum"]) and torch.equal(found["outer"], wanted["outer"])


def test_the_features_of_an_image_are_made_by_one_process(one: dict[str, Any], many: list[dict[str, Any]]) -> None:
    shares = [found["curve"]["batches"] for found in many]
    assert sorted(chain(*shares)) == sorted(one["curve"]["batches"]) and sum(one["curve"]["batches"]) == 1230
    assert max(map(sum, shares)) < 1230 * (0.6 if len(many) == 2 else 0.4)


@pytest.mark.parametrize(("n", "count"), [(7, 3), (8, 4), (3, 4), (1, 2), (5, 1), (0, 2)])
def test_shares_make_up_a_batch(monkeypatch: pytest.MonkeyPatch, n: int, count: int) -> None:
    """Each image once, or, of a batch that does not go round, once in each process."""
    monkeypatch.setattr(ranks, "count", lambda: count)
    rows = []
    for rank in range(count):
        monkeypatch.setattr(ranks, "index", lambda rank=rank: rank)
        own = list(range(n))[ranks.share(n)]
        assert len(own) >= ranks.least(n)
        rows += own
    assert len(rows) == ranks.shown(n) and sorted(rows) == sorted(list(range(n)) * (1 if n >= count else count))
