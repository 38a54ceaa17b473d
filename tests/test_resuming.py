"""A run that was killed and started again ends with the bits of one that was not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from impasto.checkpoint import Resume, forget_finished
from impasto.config.train import Train
from impasto.phase import Phase, base_phase
from impasto.runtime import runtime
from impasto.training import Row, fit
from tiny import augment, feed, model, stream, train

EPOCHS = 5
AUGMENT = augment(flip=True, crop=2, trivial=True, erase=0.3)


class Killed(BaseException):
    """Stands for the signal that ends a process."""


class Result(NamedTuple):
    history: list[Row]
    weights: dict[str, Tensor]


def from_scratch(config: Train) -> list[Phase]:
    return [base_phase(config)]


def unfreezing(config: Train) -> list[Phase]:
    """Two epochs of the head, then three of more; the averaging of ``config`` does not matter."""
    return [Phase(2, lambda e: 0.05, open=1, batch_norm="frozen"), Phase(3, lambda e: 0.02, open=3)]


def settings(precision: str) -> Train:
    return train(epochs=EPOCHS, precision=precision, averaging={"start": 0.6})


def go(phases: list[Phase], config: Train, resume: Resume, killed: int | None = None, global_seed: int = 0) -> Result:
    """One process: a fresh model, a fresh feed, another state of the global generator."""
    network = model(dropout=0.3)
    found = feed(refresh=0.4, file=resume.folder / "paintings.npy", augmented=AUGMENT, seed=3)

    def on_epoch(epoch: int, row: Row) -> None:
        if epoch == killed:
            raise Killed

    torch.manual_seed(global_seed)
    trained = fit(network, found, stream(20, seed=9), phases, config, purpose="test", resume=resume, on_epoch=on_epoch)
    return Result(
        [*trained.rows, trained.last], {name: tensor.clone() for name, tensor in network.state_dict().items()}
    )


def same(one: Result, other: Result) -> bool:
    weights = all(torch.equal(tensor, other.weights[name]) for name, tensor in one.weights.items())
    return one.history == other.history and weights


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save after every epoch."""
    monkeypatch.setenv("IMPASTO_SAVE_SECONDS", "1e-9")
    runtime.cache_clear()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """The uninterrupted run, made once for each way to train."""
    found: dict[Any, Result] = {}

    def make(plan: Callable[[Train], list[Phase]], precision: str) -> Result:
        if (plan, precision) not in found:
            config, resume = settings(precision), Resume("whole")
            resume.folder = tmp_path_factory.mktemp("whole")
            found[plan, precision] = go(plan(config), config, resume, global_seed=7)
        return found[plan, precision]

    return make


@pytest.mark.parametrize(
    ("plan", "killed"),
    [*product((from_scratch, unfreezing), range(EPOCHS)), (from_scratch, EPOCHS)],  # at last after averaging
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.usefixtures("often")
def test_killed_once(
    root: Path, whole: Callable[..., Result], plan: Callable[[Train], list[Phase]], precision: str, killed: int
) -> None:
    config = settings(precision)
    with pytest.raises(Killed):
        go(plan(config), config, Resume("test"), killed, global_seed=1)
    saved = Resume("test").load()
    assert (saved is None) == (killed == 0)
    assert saved is None or len(saved["history"]) == killed
    assert same(go(plan(config), config, Resume("test"), global_seed=2), whole(plan, precision))


@pytest.mark.parametrize("killed", [2, 3])
def test_killed_long_after_the_last_save(
    root: Path, monkeypatch: pytest.MonkeyPatch, whole: Callable[..., Result], killed: int
) -> None:
    """Several epochs fall between two saves: what they painted must not leak into the run that goes on."""
    config, saves = settings("fp32"), iter([False, True, False, False])
    monkeypatch.setattr(Resume, "due", lambda self: next(saves, False))
    with pytest.raises(Killed):
        go(from_scratch(config), config, Resume("test"), killed)
    saved = Resume("test").load()
    assert saved is not None and len(saved["history"]) == 2
    assert same(go(from_scratch(config), config, Resume("test")), whole(from_scratch, "fp32"))


@pytest.mark.usefixtures("often")
def test_killed_in_every_epoch(root: Path, whole: Callable[..., Result]) -> None:
    config = settings("fp32")
    for killed in range(EPOCHS):
        with pytest.raises(Killed):
            go(from_scratch(config), config, Resume("test"), killed, global_seed=killed)
    assert same(go(from_scratch(config), config, Resume("test")), whole(from_scratch, "fp32"))


def test_killed_after_the_last_epoch(root: Path, whole: Callable[..., Result]) -> None:
    """The state after the last epoch is always saved; averaging and its statistics are done again."""
    config = settings("fp32")
    first = go(from_scratch(config), config, Resume("test"))
    again = go(
        from_scratch(config), config, Resume("test"), killed=0, global_seed=5
    )  # no epoch is left to be killed in
    assert same(first, whole(from_scratch, "fp32")) and same(again, first)


def test_two_runs_have_the_same_bits(root: Path) -> None:
    config = settings("fp32")
    one, other = (go(from_scratch(config), config, Resume("test", n), global_seed=n) for n in (1, 2))
    assert same(one, other)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("changes", [{"optimizer": "adamw", "learning_rate": 0.01}, {"accumulate": 4}], ids=str)
def test_another_optimiser_and_batches_in_parts(root: Path, changes: dict[str, Any]) -> None:
    config = train(epochs=EPOCHS, averaging={"start": 0.6}, **changes)
    wanted = go(from_scratch(config), config, Resume("test", "whole"))
    with pytest.raises(Killed):
        go(from_scratch(config), config, Resume("test"), killed=2, global_seed=1)
    assert same(go(from_scratch(config), config, Resume("test"), global_seed=2), wanted)
    assert not same(wanted, go(from_scratch(settings("fp32")), settings("fp32"), Resume("test", "sgd")))


@pytest.mark.usefixtures("often")
def test_a_save_takes_only_the_newest_paintings(root: Path) -> None:
    """The others are in the file already; a state that held them all would be large."""
    config, resume = settings("fp32"), Resume("test")
    go(from_scratch(config), config, resume)
    saved = resume.load()
    assert saved is not None and (resume.folder / "paintings.npy").exists()
    assert 0 < len(saved["paintings"]["slots"]) < len(saved["paintings"]["owner"])


def test_state_is_plain(root: Path) -> None:
    """It opens with ``weights_only``; a finished one stays until another stage starts."""
    config, resume = settings("fp32"), Resume("test")
    go(from_scratch(config), config, resume)
    assert (resume.folder / "state.pt").exists() and resume.load() is not None
    resume.finish()
    forget_finished("test")
    assert resume.load() is not None
    forget_finished("evaluate")
    assert not resume.folder.exists() and resume.load() is None
    resume.finish()  # a second time is no error
