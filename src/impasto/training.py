"""The training loop, the same for training from scratch and for gradual unfreezing.

A run is a list of phases. Everything random in an epoch is keyed by (seed, purpose, epoch), so the state
after an epoch is all that a resumed run needs to end with the same bits as an uninterrupted one. Several processes
(:mod:`impasto.ranks`) each keep a model and make the same step on the sum of their gradients; the first one saves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from impasto import ranks
from impasto.averaging import WeightAverage, refresh_batch_norm
from impasto.batch_augment import BatchAugment
from impasto.checkpoint import Resume
from impasto.config.train import Train
from impasto.data.images import to_unit
from impasto.data.stream import Stream
from impasto.feed import Feed
from impasto.losses import consistent_cross_entropy, cross_entropy
from impasto.models.compiled import compile_parts
from impasto.models.registry import blocks
from impasto.models.shared_batch_norm import share_batch_norm
from impasto.optimiser import build_optimiser
from impasto.phase import Phase
from impasto.precision import autocast, resolve
from impasto.progress import track
from impasto.rng import key
from impasto.runtime import first

Row = dict[str, float]


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
) -> list[Row]:
    """Train ``model`` in place and return one row of numbers per epoch.

    Args:
        model: float images in [0, 1] -> logits, on the feed's device.
        feed: the training batches.
        validation: held-out original images; they are measured, never trained on or chosen by.
        phases: run one after the other.
        train: optimiser, parts of a batch, label smoothing, clipping, precision and compilation.
        purpose: what the run is for, e.g. ``"train, seed 0"``; shown, and a key of what dropout draws.
        resume: where the state is kept between epochs.
        on_epoch: called with the number of the epoch and its row after each epoch; after the last one when averaging
            has changed its row.
    """
    loop = Loop(model, feed, phases, train, purpose)
    history, last = loop.restore(resume.load()), len(loop.schedule) - 1
    for epoch in track(len(loop.schedule), purpose, "epoch", start=len(history)):
        row = loop.run(epoch) | {
            f"validation_{k}": v for k, v in measure(model, validation, train, feed.device).items()
        }
        history.append(row)
        if epoch < last or not loop.average.count:
            on_epoch(epoch, row)
        if first() and (resume.due() or epoch == last):
            resume.save(loop.state(history))
            feed.paintings.settle()
    if loop.average.count:
        model.load_state_dict(loop.average.model.state_dict())
        with seeded(feed, purpose, "refresh", last):
            refresh_batch_norm(model, (images for images, _ in feed.epoch(last)[1]))
        history[-1] |= {f"validation_{k}": v for k, v in measure(model, validation, train, feed.device).items()}
        on_epoch(last, history[-1])
    return history


def measure(model: nn.Module, stream: Stream, train: Train, device: torch.device, batch: int = 1000) -> Row:
    """Loss and accuracy of a model on a stream of plain images; of several processes each takes some batches."""
    model.eval()
    loss = torch.zeros((), device=device)
    correct = torch.zeros((), device=device)
    with torch.inference_mode(), autocast(train.precision, device):
        for rows in torch.arange(len(stream)).split(batch)[ranks.index() :: ranks.count()]:
            labels = stream.labels[rows].to(device)
            logits = model(to_unit(stream.gather(rows))).float()
            loss += cross_entropy(logits, labels, train.label_smoothing) * len(rows)
            correct += (logits.argmax(1) == labels).sum()
        loss, correct = ranks.total(torch.stack([loss, correct]))
    return {"loss": float(loss) / len(stream), "accuracy": float(correct) / len(stream)}


@contextmanager
def seeded(feed: Feed, *purpose: str | int) -> Iterator[None]:
    """Seed the global generators, from which dropout draws, for a while; each process draws its own."""
    if ranks.index():
        purpose = *purpose, f"process {ranks.index()}"
    with torch.random.fork_rng(devices=[feed.device] if feed.device.type == "cuda" else []):
        torch.manual_seed(key(feed.seed, *map(str, purpose)))
        yield


class Loop:
    """Model, optimiser, scaler and average of one run."""

    def __init__(self, model: nn.Module, feed: Feed, phases: list[Phase], train: Train, purpose: str) -> None:
        self.model, self.feed, self.train, self.purpose = model, feed, train, purpose
        self.schedule = [(phase, epoch) for phase in phases for epoch in range(phase.epochs)]
        share_batch_norm(model)
        self.average = WeightAverage(model)
        self.augment = BatchAugment(feed.augment, model, feed.seed, train.precision, feed.views)
        self.optimizer = build_optimiser(model, train)
        scale = resolve(train.precision, feed.device) == "fp16"  # wherever it is: small gradients vanish in fp16
        self.scaler = torch.amp.GradScaler(feed.device.type, enabled=scale)
        if train.compile:
            compile_parts(model)

    def run(self, epoch: int) -> Row:
        """One epoch of steps; the row holds its loss, rate and realised shares."""
        phase, local = self.schedule[epoch]
        self.open(phase)
        rate = phase.rate(local)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        plan, batches = self.feed.epoch(epoch)
        total = torch.zeros((), device=self.feed.device)
        with seeded(self.feed, self.purpose, "dropout", epoch):
            for number, (rows, (images, labels)) in enumerate(zip(plan.batches(self.feed.batch), batches, strict=True)):
                total += self.step(images, labels, plan.synthetic[rows], epoch, number) * len(labels)
        if phase.average is not None and local >= phase.average:
            self.average.update(self.model)
        return {"loss": float(ranks.total(total)) / len(plan.row), "learning_rate": rate, **plan.shares()}

    def step(self, images: Tensor, labels: Tensor, synthetic: Tensor, epoch: int, number: int) -> Tensor:
        """One step of the optimiser on a batch of an epoch; returns this process's part of the loss, detached.

        The gradient is summed over the processes and the ``train.accumulate`` parts of each, weighted by their shares
        of the images: without batch norm it is that of the whole batch. Nothing here waits for the device.
        """
        total = torch.zeros((), device=images.device)
        self.optimizer.zero_grad(set_to_none=True)
        for logits, targets in self.augment.parts(
            images, labels, synthetic, epoch, number, count=self.train.accumulate
        ):
            loss = self.loss(logits.float(), targets) * (len(targets) / ranks.shown(len(labels)))
            self.scaler.scale(loss).backward()
            total += loss.detach()
        ranks.total_gradients(self.model.parameters())
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.grad is not None], self.train.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return total

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, and where each image has several views how far the predictions for them lie apart."""
        smoothing, weight, views = self.train.label_smoothing, self.train.consistency, self.feed.views
        if views == 1:
            return cross_entropy(logits, targets, smoothing)
        return consistent_cross_entropy(logits, targets, smoothing, weight=weight, views=views)

    def open(self, phase: Phase) -> None:
        """Let the phase's blocks learn and keep the others as they are, statistics included."""
        parts = blocks(self.model)
        first = 0 if phase.open is None else max(len(parts) - phase.open, 0)
        self.model.train()
        for index, (_, part) in enumerate(parts):
            part.requires_grad_(index >= first)
            frozen = index < first or not phase.batch_norm
            for module in part.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm) and frozen:
                    module.eval()

    def state(self, history: list[Row]) -> dict[str, Any]:
        """Everything a resumed run needs."""
        parts = ("model", "optimizer", "scaler", "average")
        kept = {name: getattr(self, name).state_dict() for name in parts}
        return {**kept, "paintings": self.feed.paintings.state(), "history": history}

    def restore(self, state: dict[str, Any] | None) -> list[Row]:
        """Take up a saved state; returns the rows of the epochs that are done."""
        if state is None:
            return []
        for name in ("model", "optimizer", "scaler", "average"):
            getattr(self, name).load_state_dict(state[name])
        self.feed.paintings.restore(state["paintings"])
        history: list[Row] = state["history"]
        return history
