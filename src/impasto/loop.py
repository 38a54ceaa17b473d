"""The model, the optimiser and all else that a run of training carries from step to step and from epoch to epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from impasto import ranks
from impasto.averaging import WeightAverage
from impasto.batch_augment import BatchAugment
from impasto.config.selection import Selection
from impasto.config.train import Train
from impasto.copies import Copies
from impasto.criterion import Criterion
from impasto.data.stream import Stream
from impasto.feed import Feed
from impasto.frozen import Frozen, frozen
from impasto.models.compiled import compile_parts
from impasto.models.registry import blocks, require_blocks
from impasto.models.shared_batch_norm import share_batch_norm
from impasto.models.shared_dropout import share_dropout
from impasto.optimiser import build_optimiser
from impasto.phase import Phase
from impasto.precision import resolve
from impasto.rng import key
from impasto.selection import Best
from impasto.validation import Row as Row
from impasto.validation import measure, sureness


@contextmanager
def seeded(feed: Feed, *purpose: str | int) -> Iterator[None]:
    """Seed the global generators, from which dropout draws, for a while; alike in all processes."""
    with torch.random.fork_rng(devices=[feed.device] if feed.device.type == "cuda" else []):
        torch.manual_seed(key(feed.seed, *map(str, purpose)))
        yield


class Loop:
    """Model, optimiser, scaler, average and best model of one run."""

    def __init__(
        self,
        model: nn.Module,
        feed: Feed,
        phases: list[Phase],
        train: Train,
        purpose: str,
        selection: Selection | None = None,
        validation: Stream | None = None,
    ) -> None:
        self.validation = validation
        self.frozen: Frozen | None = None
        self.model, self.feed, self.train, self.purpose, self._phases = model, feed, train, purpose, phases
        self.schedule = [(phase, epoch) for phase in phases for epoch in range(phase.epochs)]
        require_blocks(model, max((phase.open or 0 for phase in phases), default=0))
        share_batch_norm(model)
        share_dropout(model)
        self.average = WeightAverage(model)
        self.best = Best(selection) if selection and selection.metric != "none" else None
        self.balanced = self.best is not None and self.best.config.metric == "balanced_accuracy"
        self.criterion = Criterion(train, feed.streams[0].labels, feed.device)
        self.augment = BatchAugment(feed.augment, model, feed.seed, train.precision, feed.views)
        self.optimizer = build_optimiser(model, train)
        scale = resolve(train.precision, feed.device) == "fp16"  # wherever it is: small gradients vanish in fp16
        self.scaler = torch.amp.GradScaler(feed.device.type, enabled=scale)
        if train.compile:
            compile_parts(model)

    def place(self, done: int) -> int:
        """Which epoch of the schedule comes after so many that were run; its length if none is left."""
        return self.best.next([phase.epochs for phase in self._phases]) if self.best else done

    def run(self, epoch: int, place: int | None = None) -> Row:
        """One epoch of steps; the row holds its loss, rate and realised shares.

        Args:
            epoch: how many were run before, by which everything random is keyed.
            place: the epoch of the schedule, another one than ``epoch`` once a phase has ended early.
        """
        phase, local = self.schedule[epoch if place is None else place]
        if not local:
            self.begin(phase)
        self.open(phase)
        self.frozen = self.still(phase)
        rate = phase.rate(local)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        plan, batches = (self.frozen or self.feed).epoch(epoch)
        total = torch.zeros((), device=self.feed.device)
        with seeded(self.feed, self.purpose, "dropout", epoch):
            for number, (rows, (images, labels)) in enumerate(zip(plan.batches(self.feed.batch), batches, strict=True)):
                total += self.step(images, labels, plan.synthetic[rows], epoch, number) * len(labels)
        if phase.average is not None and local >= phase.average:
            self.average.update(self.model)
        return {"loss": float(ranks.total(total)) / len(plan.row), "learning_rate": rate, **plan.shares()}

    def begin(self, phase: Phase) -> None:
        """A phase begins with the best model, its optimiser with nothing, and copies may be drawn anew for it."""
        if self.best:
            self.best.put_into(self.model)
            self.optimizer = build_optimiser(self.model, self.train)
        if redraw := self.feed.redraw:
            images, sure = self.feed.streams[0], None
            if redraw.hardest:  # all processes copy those images that the first one finds hardest
                sure = ranks.told(sureness(self.model, images, len(self.feed), self.train, self.feed.device))
            number = next(n for n, other in enumerate(self._phases) if other is phase)
            self.feed.put(redraw.draw(number, sure))

    def still(self, phase: Phase) -> Frozen | None:
        """What stands in for images and network where the head alone learns (:mod:`impasto.frozen`)."""
        if self.validation is None or phase.average is not None:
            return None
        return frozen(self.model, phase, self.feed, self.validation, self.train.precision)

    def measured(self) -> Row:
        """How the model does on the validation images, see :func:`impasto.validation.measure`."""
        assert self.validation is not None
        answers = self.frozen.validated if self.frozen else None
        return measure(
            self.model, self.validation, self.train, self.feed.device, balanced=self.balanced, answers=answers
        )

    def step(self, images: Tensor, labels: Tensor, synthetic: Tensor, epoch: int, number: int) -> Tensor:
        """One step of the optimiser on a batch of an epoch; returns this process's part of the loss, detached.

        In place of images a frozen network takes the numbers of their rows.

        The gradient is summed over the processes and the ``train.accumulate`` parts of each, weighted by their shares
        of the images: without batch norm it is that of the whole batch. Nothing here waits for the device.
        """
        total = torch.zeros((), device=labels.device)
        self.optimizer.zero_grad(set_to_none=True)
        for logits, targets in (self.frozen or self.augment).parts(
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
        """Of a batch in all its views."""
        return self.criterion(logits, targets, self.feed.views)

    def open(self, phase: Phase) -> None:
        """Let the phase's blocks learn and keep the others as they are, statistics included if it says so."""
        parts = blocks(self.model)
        first = 0 if phase.open is None else len(parts) - phase.open
        self.model.train()
        for index, (_, part) in enumerate(parts):
            part.requires_grad_(index >= first)
            still = phase.batch_norm == "frozen" or (phase.batch_norm == "train" and index < first)
            for module in part.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm) and still:
                    module.eval()

    def state(self, history: list[Row]) -> dict[str, Any]:
        """Everything a resumed run needs."""
        parts = ("model", "optimizer", "scaler", "average")
        kept = {name: getattr(self, name).state_dict() for name in parts}
        kept |= {"best": self.best.state_dict()} if self.best else {}
        kept |= {"copies": [each._asdict() for each in self.feed.drawn]} if self.feed.drawn else {}
        return {**kept, "paintings": self.feed.paintings.state(), "history": history}

    def restore(self, state: dict[str, Any] | None) -> list[Row]:
        """Take up a saved state; returns the rows of the epochs that are done."""
        if state is None:
            return []
        for name in ("model", "optimizer", "scaler", "average"):
            getattr(self, name).load_state_dict(state[name])
        if self.best:
            self.best.load_state_dict(state["best"])
        self.feed.put(*(Copies(**each) for each in state.get("copies", [])))
        self.feed.paintings.restore(state["paintings"])
        history: list[Row] = state["history"]
        return history
