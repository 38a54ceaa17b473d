"""The training loop, the same for training from scratch and for gradual unfreezing.

A run is a list of phases. Everything random in an epoch is keyed by (seed, purpose, epoch), so the state
after an epoch is all that a resumed run needs to end with the same bits as an uninterrupted one. Several processes
(:mod:`impasto.ranks`) each keep a model and make the same step on the sum of their gradients; the first one saves.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
) -> list[Row]:
    """Train ``model`` in place and return one row of numbers per epoch.

    Args:
        model: float images in [0, 1] -> logits, on the feed's device.
        feed: the training batches.
        validation: held-out original images; they are measured and never trained on, and only ``selection`` lets them
            choose anything.
        phases: run one after the other.
        train: optimiser, loss, parts of a batch, clipping, precision and compilation.
        purpose: what the run is for, e.g. ``"train, seed 0"``; shown, and a key of what dropout draws.
        resume: where the state is kept between epochs.
        on_epoch: called with the number of the epoch and its row after each epoch; after the last one when averaging
            or selection has changed its row.
        selection: by what the best model is chosen, with which every phase and the run end, and when a phase ends
            early. The last row then has its numbers and, as ``selected_epoch``, how many epochs it has seen.

    Raises:
        ImpastoError: a loss is not finite.
    """
    loop = Loop(model, feed, phases, train, purpose, selection, validation)
    history = loop.restore(resume.load())
    for epoch in track(len(loop.schedule), purpose, "epoch", start=len(history)):
        place = loop.place(len(history))
        if place == len(loop.schedule):  # some phase has ended early
            break
        history.append(_epoch(loop, epoch, place))
        last = loop.place(len(history)) == len(loop.schedule)
        if not last or not (loop.average.count or loop.best):
            on_epoch(epoch, history[-1])
        if first() and (resume.due() or last):
            resume.save(loop.state(history))
            feed.paintings.settle()
    if history:
        _end(loop, history, on_epoch)
    return history


def _epoch(loop: Loop, epoch: int, place: int) -> Row:
    """Run one epoch of the schedule; its row, with what the validation images say of the model after it."""
    if loop.best and not loop.best.scores:  # training may make nothing better
        loop.best.see(loop.model, loop.measured())
    row, found = loop.run(epoch, place), loop.measured()
    if loop.best:
        loop.best.see(loop.model, found)
    return _finite(row | _named(found), loop.purpose, epoch)


def _end(loop: Loop, history: list[Row], on_epoch: Callable[[int, Row], None]) -> None:
    """Let the averaged or the best model be the result, where there is one, and tell the last row."""
    last = len(history) - 1
    if loop.average.count:
        loop.model.load_state_dict(loop.average.model.state_dict())
        with seeded(loop.feed, loop.purpose, "refresh", last):
            refresh_batch_norm(loop.model, (images for images, _ in loop.feed.epoch(last)[1]))
        loop.frozen = None  # what it was computed with is no more
        history[-1] |= _named(loop.measured())
        on_epoch(last, history[-1])
    elif loop.best:
        loop.best.put_into(loop.model)
        history[-1] |= _named(loop.best.row) | {"selected_epoch": float(loop.best.epoch)}
        on_epoch(last, history[-1])


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
