"""A segment of a trial: some epochs of training, as a function of nothing but its job. Here nothing knows of Ray.

A search is made of segments. As each is a pure function of parameters and of the state with which it begins, one that
was lost with its machine is computed again, one that is on record never, and the winner's segments, one after the
other, are the very run that `train` makes of its parameters.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

from impasto.config.base import load
from impasto.config.evaluate import Evaluate
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.seed import Seed, Seeds
from impasto.config.style import Style
from impasto.config.train import Train
from impasto.config.tune import Tune
from impasto.errors import ImpastoError
from impasto.io import digest, one_line, write_text
from impasto.loop import Loop
from impasto.models.registry import build
from impasto.phase import base_phase
from impasto.runtime import device
from impasto.stages.classifier import Inputs
from impasto.stages.command import Stage, stage_parameters
from impasto.tracking.stage import StageRun
from impasto.training import Row, Run
from impasto.tuning.inputs import require_same
from impasto.tuning.objective import Corrupted, corrupted_validation, parts
from impasto.tuning.space import reads

OUT_OF_MEMORY = "out of memory"  # how such an error begins
_DIVERGED = "training has diverged"  # how training says it
_OF_MACHINES = ("train.compile",)  # a leaf that a machine without a compiler refuses


class Job(NamedTuple):
    """What a segment is computed from.

    Attributes:
        root: the repository, where ``data`` and ``models`` lie; the same path on every machine.
        inputs: what `train` reads, by name, relative to the root.
        content: digests of these inputs and of the code, by path: what the search was called with.
        params: all of params.yaml, of this trial.
        until: the segment ends when so many epochs are done, or none is left.
        state: the state with which it begins; None is the beginning of the trial.
        threads: CPU threads.
    """

    root: str
    inputs: Mapping[str, str]
    content: Mapping[str, str]
    params: Mapping[str, Any]
    until: int
    state: bytes | None = None
    threads: int = 1


class Segment(NamedTuple):
    """What came of a job.

    Attributes:
        rows: one row for each epoch of the trial so far.
        parts: the objective and its parts after the last of them.
        done: whether the trial has no epoch left; it then has no state either.
        state: with which the trial goes on.
        seconds: of this segment, by the wall clock.
        error: why there are no numbers, in one line; they are then empty.
        machine: that computed it.
    """

    rows: list[Row]
    parts: Row
    done: bool
    state: bytes | None
    seconds: float
    error: str | None = None
    machine: str = ""


class _Opened(NamedTuple):
    key: str
    inputs: Inputs
    corrupted: Corrupted | None


_opened: list[_Opened] = []  # by this process for its last trial: the next one mostly reads the same


def train_segment(job: Job) -> Segment:
    """Compute a segment.

    That a training diverges, does not fit into memory, or cannot be built of the trial's parameters is a result: one
    without numbers.

    Raises:
        ImpastoError: anything else is at fault, such as missing data or a full disk. The trial is none the worse.
    """
    begun = time.monotonic()
    os.environ["DVC_ROOT"] = job.root  # a relative path of params.yaml starts there
    device()
    torch.set_num_threads(job.threads)
    with _stage(job) as this:
        try:
            found = _trained(this, job)
        except torch.OutOfMemoryError as error:
            found = _failed(f"{OUT_OF_MEMORY}: {one_line(error)}")
        except ImpastoError as error:
            if not _is_result(error, this):
                raise
            found = _failed(str(error))
    return found._replace(seconds=time.monotonic() - begun, machine=socket.gethostname())


def _trained(this: Stage, job: Job) -> Segment:
    opened, train, tune = _open(this, job), this.load(Train), load(this.params, Tune)
    inputs, seed, config = opened.inputs.under(this), this.load(Seeds).seeds[0], this.load(Model)
    # As in the stage train, whose test holds the two equal.
    model = build(config, len(inputs.classes), **inputs.statistics, seed=seed).to(device())
    feed = inputs.feed(seed, None, this.load(Mix))
    purpose = f"train, seed {seed}"
    loop = Loop(model, feed, [base_phase(train)], train, purpose, train.selection, inputs.validation)
    run = Run(loop, _loaded(job.state, loop))
    while not run.done and len(run.history) < job.until:
        run.advance()
    if run.done:
        run.finish()
    found = parts(model, inputs.validation, opened.corrupted, tune, train, device())
    return Segment(run.history, found, run.done, None if run.done else _saved(run.state()), 0.0)


def _is_result(error: ImpastoError, this: Stage) -> bool:
    """Whether the trial's parameters are at fault, as they would be anywhere: the error names a leaf of training."""
    names = [name for name in error.where.removeprefix("params.yaml: ").split(", ") if name not in _OF_MACHINES]
    own = stage_parameters(this.params, "train")
    return error.what.endswith(_DIVERGED) or any(reads(names, leaf) for leaf in own)


def _failed(error: str) -> Segment:
    return Segment([], {}, True, None, 0.0, error)


@contextmanager
def _stage(job: Job) -> Iterator[Stage]:
    """The stage ``train`` under the trial's parameters, which sees no more of them than dvc.yaml lets it."""
    root = Path(job.root)
    with TemporaryDirectory(prefix="impasto-trial-") as folder:
        params = Path(folder) / "params.yaml"
        write_text(params, json.dumps(job.params))  # in this order: a schedule's epochs ascend
        shutil.copy(root / "dvc.yaml", params.with_name("dvc.yaml"))
        yield Stage("train", params, {name: root / path for name, path in job.inputs.items()}, StageRun(None))


def _open(this: Stage, job: Job) -> _Opened:
    """The images, styles and corrupted images of a trial; those of this process's last one where they are the same.

    What is opened is what the search was called with.
    """
    mix, tune = this.load(Mix), load(this.params, Tune)
    same = stage_parameters(this.params, "train")
    read = {k: v for k, v in same.items() if k.startswith(("style.", "balance."))}
    shown = [tune.robust, tune.corruptions, tune.severities, tune.images, tune.seed]
    own = [this.load(Seed).seed, mix.alpha_o, this.load(Train).precision, load(this.params, Evaluate).model_dump()]
    key = digest(job.root, job.content, read, shown, own)
    if not _opened or _opened[0].key != key:
        _opened.clear()
        require_same(Path(job.root), job.inputs, job.content)
        this.load(Style)
        place = this.inputs["images"], this.inputs["split"]
        seen = corrupted_validation(*place, tune, load(this.params, Evaluate), device()) if tune.robust else None
        _opened.append(_Opened(key, Inputs(this), seen))
    return _opened[0]


def _saved(state: dict[str, Any]) -> bytes:
    """A state as bytes; an average into which nothing has entered yet is a copy of the model and stays here."""
    if not state["average"]["count"]:
        state["average"] = None
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def _loaded(content: bytes | None, loop: Loop) -> dict[str, Any] | None:
    if content is None:
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if state["average"] is None:
        state["average"] = loop.average.state_dict()
    return state
