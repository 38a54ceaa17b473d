"""The training loop, the same for training from scratch and for gradual unfreezing.

A run is a list of phases. Everything random in an epoch is keyed by (seed, purpose, epoch), so the state
after an epoch is all that a resumed run needs to end with the same bits as an uninterrupted one. Several processes
(:mod:`impasto.ranks`) each keep a model and make the same step on the sum of their gradients; the first one saves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from impasto.averaging import refresh_batch_norm
from impasto.checkpoint import Resume
from impasto.config.selection import Selection
from impasto.config.train import Train
from impasto.data.stream import Stream
from impasto.errors import ImpastoError
from impasto.feed import Feed
from impasto.loop import Loop, seeded
from impasto.phase import Phase
from impasto.progress import track
from impasto.runtime import first
from impasto.validation import Row as Row


class Trained(NamedTuple):
    """What a run of training says of itself.

    Attributes:
        rows: numbers of each epoch, of the model as it was then.
        last: those of the model with which the run ends: the last epoch's, unless averaging or selection made it
            another model; empty if there was no epoch.
    """

    rows: list[Row]
    last: Row


def fit(
    model: nn.Module,
    feed: Feed,
    validation: Stream,
    phases: list[Phase],
    train: Train,
    *,
    purpose: str,
    resume: Resume,
    on_epoch: Callable[[int, Row], None],
    selection: Selection | None = None,
) -> Trained:
    """Train ``model`` in place.

    Args:
        model: float images in [0, 1] -> logits, on the feed's device.
        feed: the training batches.
        validation: held-out original images; they are measured and never trained on, and only ``selection`` lets them
            choose anything.
        phases: run one after the other.
        train: optimiser, loss, parts of a batch, clipping, precision and compilation.
        purpose: what the run is for, e.g. ``"train, seed 0"``; shown, and a key of what dropout draws.
        resume: where the state is kept between epochs.
        on_epoch: called with the number of the epoch and its row after each epoch, and once more with the number of
            epochs where averaging or selection gives another model than that of the last one.
        selection: by what the best model is chosen, with which every phase and the run end, and when a phase ends
            early. ``selected_epoch`` is then how many epochs the model has seen.

    Raises:
        ImpastoError: a loss is not finite.
    """
    run = Run(Loop(model, feed, phases, train, purpose, selection, validation), resume.load())
    for epoch in track(len(run.loop.schedule), purpose, "epoch", start=len(run.history)):
        if run.done:  # some phase has ended early
            break
        on_epoch(epoch, run.advance())
        if first() and (resume.due() or run.done):
            resume.save(run.state())
            feed.paintings.settle()
    if ended := run.finish():
        on_epoch(len(run.history), ended)
    return Trained(run.history, run.last | ended)


class Run:
    """A run of training that goes on epoch by epoch; a search takes some of them and then perhaps others.

    Args:
        loop: what it carries.
        state: what :meth:`state` returned, of this run or of another one with the same parameters up to there.

    Attributes:
        history: one row of numbers for each epoch so far.
    """

    def __init__(self, loop: Loop, state: dict[str, Any] | None = None) -> None:
        self.loop, self.history = loop, loop.restore(state)

    @property
    def done(self) -> bool:
        """Whether no epoch is left."""
        return self.loop.place(len(self.history)) == len(self.loop.schedule)

    @property
    def last(self) -> Row:
        """The row of the last epoch that the result has seen; empty if it has seen none."""
        seen = self.loop.best.epoch if self.loop.best else len(self.history)
        return self.history[seen - 1] if seen else {}

    def advance(self) -> Row:
        """One epoch of the schedule; its row, with what the validation images say of the model after it.

        Raises:
            ImpastoError: a loss is not finite.
        """
        loop, epoch = self.loop, len(self.history)
        if loop.best and not loop.best.scores:  # training may make nothing better
            loop.best.see(loop.model, loop.measured())
        row, found = loop.run(epoch, loop.place(epoch)), loop.measured()
        if loop.best:
            loop.best.see(loop.model, found)
        self.history.append(_finite(row | _named(found), loop.purpose, epoch))
        return self.history[-1]

    def state(self) -> dict[str, Any]:
        """Everything with which the run goes on elsewhere; the paintings' file goes with it, where there is one."""
        return self.loop.state(self.history)

    def finish(self) -> Row:
        """Let the averaged or the best model be the result, and say its own numbers; none if it is the last epoch's."""
        loop, last = self.loop, len(self.history) - 1
        if loop.average.count:
            loop.model.load_state_dict(loop.average.model.state_dict())
            with seeded(loop.feed, loop.purpose, "refresh", last):
                refresh_batch_norm(loop.model, (images for images, _ in loop.feed.epoch(last)[1]))
            loop.frozen = None  # what it was computed with is no more
            return _named(loop.measured())
        if loop.best and self.history:
            loop.best.put_into(loop.model)
            return _named(loop.best.row) | {"selected_epoch": float(loop.best.epoch)}
        return {}


def _finite(row: Row, purpose: str, epoch: int) -> Row:
    """The row of an epoch, unless training has diverged: its state is not saved then, and the last good one is kept."""
    for name, value in row.items():
        if not math.isfinite(value):
            raise ImpastoError(
                f"{name} is {value} after epoch {epoch + 1}: training has diverged",
                where=purpose,
                remedy="Lower the learning rate, or train.clip; with train.precision fp16, try bf16 or fp32.",
            )
    return row


def _named(row: Row) -> Row:
    return {f"validation_{name}": value for name, value in row.items()}
