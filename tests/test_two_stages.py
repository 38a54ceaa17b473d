"""Two-stage optimisation: a frozen backbone, unfreezing at falling rates, the best model carried on, early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from impasto.checkpoint import Resume
from impasto.config.finetune import Finetune
from impasto.config.selection import Selection
from impasto.config.train import Chosen, Train
from impasto.finetuning import phases
from impasto.loop import Loop
from impasto.models.registry import blocks
from impasto.phase import Phase, base_phase
from impasto.runtime import runtime
from impasto.selection import Best, following
from impasto.training import Row, Trained, fit
from impasto.validation import measure
from tiny import CPU, augment, feed, model, stream, train

State = dict[str, Tensor]
HEAD: dict[str, Any] = {"attention": "additive_softmax", "taps": [2, 4], "head_dropout": 0.2}
BLOCKS = ["stem", "stage1", "stage2", "head"]


def snapshot(network: nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def chosen(metric: str = "accuracy", patience: int = 0) -> Selection:
    return Chosen.model_validate({"metric": metric, "patience": patience})


def run(plan: list[Phase], config: Train | None = None, **changes: Any) -> tuple[nn.Module, Trained, list[State]]:
    """A run of an attention network; also its state before it and after every epoch."""
    network = model(**HEAD)
    states = [snapshot(network)]

    def on_epoch(epoch: int, row: Row) -> None:
        states.append(snapshot(network))

    settings = {"purpose": "test", "resume": Resume("test"), "on_epoch": on_epoch} | changes
    trained = fit(network, feed(), stream(20, seed=9), plan, config or train(), **settings)
    return network, trained, states


def moved(before: State, after: State) -> set[str]:
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


def statistic(name: str) -> bool:
    return "running_" in name or name.endswith("num_batches_tracked")


def test_the_frozen_stage_leaves_parameters_and_statistics_of_the_backbone_bit_for_bit(root: Path) -> None:
    config = train(epochs=2, open=1, optimizer="adam", learning_rate=1e-3, weight_decay=0.1)
    network, _, states = run([base_phase(config)], config)
    assert [name for name, _ in blocks(network)] == BLOCKS
    backbone = {name for name in states[0] if not name.startswith("head.")}
    assert any(statistic(name) for name in backbone)
    assert moved(states[0], states[-1]) == states[0].keys() - backbone


def test_the_published_frozen_stage_moves_the_statistics_and_nothing_else(root: Path) -> None:
    config = train(epochs=1, open=1, batch_norm="all")
    _, _, states = run([base_phase(config)], config)
    changed = moved(states[0], states[-1])
    assert {name for name in states[0] if statistic(name)} <= changed
    assert all(statistic(name) or name.startswith("head.") for name in changed)


def unfreezing(metric: str = "none", patience: int = 0) -> Finetune:
    """Three stages, each with two more of the four blocks or the same, at falling rates."""
    stages = [
        {"open": 1, "epochs": 2, "learning_rate": 0.04, "batch_norm": "frozen"},
        {"open": 2, "epochs": 2, "learning_rate": 0.02, "batch_norm": "frozen"},
        {"open": 4, "epochs": 3, "learning_rate": 0.01, "batch_norm": "train"},
    ]
    return Finetune.model_validate(
        {"stages": stages, "copies": "kept", "selection": {"metric": metric, "patience": patience}}
    )


def test_each_stage_changes_the_blocks_that_it_opens_and_no_others(root: Path) -> None:
    config = unfreezing()
    _, (history, _), states = run(phases(config))
    assert [row["learning_rate"] for row in history] == pytest.approx([0.04, 0.02, 0.02, 0.01, 0.01, 0.0075, 0.0025])
    begin = 0
    for stage in config.stages:
        changed = moved(states[begin], states[begin + stage.epochs])
        begin += stage.epochs
        assert {name.split(".")[0] for name in changed} == set(BLOCKS[-stage.open :])
        assert any(map(statistic, changed)) == (stage.batch_norm == "train")


def test_step_decay_is_torchs() -> None:
    config = train(epochs=20, learning_rate=8e-4, steps=[10, 15])
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=8e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [10, 15])
    for epoch in range(20):
        assert base_phase(config).rate(epoch) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert {base_phase(train(epochs=9, steps=[])).rate(epoch) for epoch in range(9)} == {0.1}


@pytest.mark.parametrize(
    ("scores", "patience", "order"),
    [
        ([1, 2, 3, 4, 5], 2, [0, 1, 2, 3, 4]),  # always better: nothing is left out
        ([5, 4, 3, 6, 7], 2, [0, 1, 2, 3, 4]),  # two worse ones end the first phase, which ends anyway
        ([5, 5, 6, 7], 1, [0, 1, 3, 4]),  # an equal one is no better
        ([5, 4, 4], 1, [0, 1, 3]),  # what an earlier phase reached counts in the next
        ([0, 0], 1, [0, 3]),  # and so does the beginning
        ([3, 2, 1, 0, 0], 0, [0, 1, 2, 3, 4]),
    ],
)
def test_which_epoch_follows(scores: list[float], patience: int, order: list[int]) -> None:
    """Phases of three and two epochs, after a beginning of score 0."""
    found = [following([3, 2], scores[:n], patience, 0) for n in range(len(scores) + 1)]
    assert found[:-1] == order and found[-1] == 5


@pytest.mark.parametrize("metric", ["loss", "accuracy", "balanced_accuracy"])
def test_the_result_is_the_best_epochs_model(root: Path, metric: str) -> None:
    rates = [0.05, 0.05, 3.0, 3.0]  # the last two spoil it
    plan = [Phase(len(rates), rates.__getitem__)]
    network, (rows, last), states = run(plan, train(clip=100.0), selection=chosen(metric))
    values = [row[f"validation_{metric}"] * (-1 if metric == "loss" else 1) for row in rows]
    best = values.index(max(values))
    assert last == rows[best] | {"selected_epoch": best + 1} and best + 1 < len(rates) == len(rows)
    assert not moved(states[best + 1], snapshot(network))
    balanced = metric == "balanced_accuracy"
    found = measure(network, stream(20, seed=9), train(), CPU, balanced=balanced)
    assert {name: last[f"validation_{name}"] for name in found} == found
    assert ("validation_balanced_accuracy" in rows[0]) == balanced


def test_a_run_that_only_spoils_the_model_gives_it_back(root: Path) -> None:
    network = model(**HEAD)
    start = snapshot(network)
    again = fit(
        network,
        feed(),
        stream(20, seed=9),
        [Phase(1, lambda e: 9.0), Phase(1, lambda e: 9.0)],
        train(clip=1e3),
        purpose="test",
        resume=Resume("again"),
        on_epoch=lambda epoch, row: None,
        selection=chosen("loss"),
    )
    assert not moved(start, snapshot(network))
    found = {f"validation_{name}": value for name, value in measure(network, stream(20, seed=9), train(), CPU).items()}
    assert again.last == found | {"selected_epoch": 0} and len(again.rows) == 2, "no epoch's loss is that of this model"


def test_without_stages_there_is_nothing_to_choose(root: Path) -> None:
    network, trained, states = run([], selection=chosen())
    assert trained == ([], {}) and not moved(states[0], snapshot(network))


def spoil(loop: Loop) -> None:
    """Whatever of this is used gives no number."""
    for tensor in loop.model.state_dict().values():
        tensor.fill_(torch.nan) if tensor.is_floating_point() else tensor.zero_()
    for state in loop.optimizer.state.values():
        state["momentum_buffer"].fill_(torch.nan)


def test_every_stage_begins_with_the_best_model_and_a_fresh_optimiser_and_no_other_epoch_does(root: Path) -> None:
    """The second stage moves next to nothing: it ends with what it got."""
    plan = [Phase(1, lambda e: 0.05), Phase(2, lambda e: 1e-12, batch_norm="frozen")]
    network = model(**HEAD)
    loop = Loop(network, feed(), plan, train(weight_decay=0.0), "test", chosen("loss"))
    assert loop.best
    loop.best.see(network, {"loss": 2.0})
    loop.run(0)
    best = snapshot(network)
    loop.best.see(network, {"loss": 1.0})
    spoil(loop)
    assert math.isfinite(loop.run(1)["loss"])
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, best[name], msg=name)
    assert loop.optimizer.state, "which the next epoch goes on with"
    spoil(loop)
    assert math.isnan(loop.run(2)["loss"])


def test_no_number_is_no_better_and_hides_nothing_that_comes_after_it() -> None:
    """An epoch whose loss has overflowed must not keep a later stage's model from being the best."""
    network, best = model(), Best(chosen("loss", patience=2))
    for number, loss in enumerate((3.0, 2.0, math.nan, math.inf, 1.0, math.nan)):
        nn.init.constant_(network.head[-1].bias, float(number))
        best.see(network, {"loss": loss})
    best.put_into(network)
    assert (best.epoch, best.row) == (4, {"loss": 1.0}) and network.head[-1].bias.unique().tolist() == [4.0]
    assert best.next([4, 4]) == 6, "after two without a better one the first stage ends early"
    from_nothing = Best(chosen("loss", patience=2))
    for loss in (math.nan, math.nan, 5.0):
        from_nothing.see(network, {"loss": loss})
    assert from_nothing.epoch == 2 and from_nothing.next([4]) == 2


def test_balanced_accuracy_by_hand() -> None:
    network, images = model().eval(), stream(30, classes=3, seed=3)
    kept = torch.tensor([0, 1, 2, 3, 6, 9, 12, 15])
    images.labels = images.labels.clone()
    images.labels[kept] = 0
    found = measure(network, images, train(), CPU, batch=7, balanced=True)
    right = network(images.gather(torch.arange(30)).float() / 255).argmax(1) == images.labels
    recalls = [float(right[images.labels == k].float().mean()) for k in range(3)]
    assert found["balanced_accuracy"] == pytest.approx(sum(recalls) / 3, rel=1e-6)
    images.labels[images.labels == 1] = 2  # a class without images has no accuracy, and not that of 0
    found = measure(network, images, train(), CPU, batch=7, balanced=True)
    right = network(images.gather(torch.arange(30)).float() / 255).argmax(1) == images.labels
    recalls = [float(right[images.labels == k].float().mean()) for k in (0, 2)]
    assert found["balanced_accuracy"] == pytest.approx(sum(recalls) / 2, rel=1e-6) and sum(recalls) > 0


class Killed(BaseException):
    """Stands for the signal that ends a process."""


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_SAVE_SECONDS", "1e-9")
    runtime.cache_clear()


Whole = tuple[list[Row], State]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Resume], Whole]:
    found: list[Whole] = []

    def make(resume: Resume) -> Whole:
        if not found:
            resume.folder = tmp_path_factory.mktemp("whole")
            resume._file = resume.folder / "state.pt"
            found.append(staged(resume))
        return found[0]

    return make


def staged(resume: Resume, killed: int | None = None) -> Whole:
    """The rates make the second and the third stage end early: four epochs of nine are run."""
    network = model(**HEAD)

    def on_epoch(epoch: int, row: Row) -> None:
        if epoch == killed:
            raise Killed

    plan = [
        Phase(2, lambda e: 0.05, open=1, batch_norm="frozen"),
        Phase(3, lambda e: 5.0, open=2, batch_norm="frozen"),
        Phase(4, [0.03, 9.0, 9.0, 9.0].__getitem__),
    ]
    trained = fit(
        network,
        feed(refresh=0.4, file=resume.folder / "paintings.npy", augmented=augment(flip=True, crop=2), seed=3),
        stream(20, seed=9),
        plan,
        train(clip=100.0),
        purpose="test",
        resume=resume,
        on_epoch=on_epoch,
        selection=chosen("loss", patience=1),
    )
    return [*trained.rows, trained.last], snapshot(network)


@pytest.mark.usefixtures("often")
def test_patience_ends_stages_early(root: Path, whole: Callable[[Resume], Whole]) -> None:
    rates = [row["learning_rate"] for row in whole(Resume("whole"))[0][:-1]]
    assert rates[:3] == [0.05, 0.05, 5.0] and len(rates) < 9 and 5.0 not in rates[3:]


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("killed", range(5))  # the last time when the best model has been told
def test_killed_in_any_stage_it_ends_with_the_same_bits(
    root: Path, whole: Callable[[Resume], Whole], killed: int
) -> None:
    wanted, weights = whole(Resume("whole"))
    assert len(wanted) == 4 + 1
    with pytest.raises(Killed):
        staged(Resume("test"), killed)
    history, found = staged(Resume("test"))
    assert history == wanted and not moved(weights, found)
