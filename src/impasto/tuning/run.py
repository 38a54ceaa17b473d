"""A whole `impasto tune`: what it must find before anything starts, its searches in order, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from impasto.config.all import check_tree
from impasto.config.base import flatten, read_yaml
from impasto.config.tune import Tune
from impasto.errors import ImpastoError
from impasto.io import digest, read_npy
from impasto.tracking.execution import parse_yaml
from impasto.tracking.search import SearchRun
from impasto.tuning import space
from impasto.tuning.bayes import require_engine
from impasto.tuning.context import Context
from impasto.tuning.independent import independent
from impasto.tuning.inputs import contents
from impasto.tuning.members import population
from impasto.tuning.population import boundaries
from impasto.tuning.record import Trial
from impasto.tuning.results import Done, best_of, leaves_of
from impasto.tuning.segment import Job
from impasto.tuning.workers import Workers

FOLDER = "sweeps"
_WHERE = "impasto tune"


@dataclass(frozen=True)
class Plan:
    """What is searched, valid and with all that it needs.

    Attributes:
        root: the repository.
        tree: all of params.yaml.
        tune: its section.
        inputs: what trials read, by name, relative to the root.
        content: digests of these and of the code, by path.
        key: digest of all that decides what is found.
    """

    root: Path
    tree: Mapping[str, Any]
    tune: Tune
    inputs: Mapping[str, str]
    content: Mapping[str, str]
    key: str

    @property
    def folder(self) -> Path:
        """Where the searches are recorded."""
        return self.root / FOLDER / self.key


def prepare(root: Path, params: Path) -> Plan:
    """See that there is something to search, that every point of it is valid, and that the stages before are done.

    Args:
        root: the repository, which holds dvc.yaml, data and models.
        params: the parameter file.

    Raises:
        ImpastoError: names the first fault; nothing has been started.
    """
    tree, pipeline = read_yaml(params), root / "dvc.yaml"
    tune = check_tree(tree, params)[Tune]
    assert isinstance(tune, Tune)
    if not tune.searches:
        raise _refused("tune.searches is empty", "Add a search, or lay a preset over it: `impasto preset` lists them.")
    _require_searches(tree, tune, pipeline)
    inputs = space.inputs_of(pipeline)
    _require_inputs(root, inputs, pipeline)
    _require_current(root, tree, pipeline)
    if not len(np.array(read_npy(root / inputs["split"] / "validation.npy"))):
        raise _refused("the validation split is empty", "Raise dataset.validation, and run `dvc repro split`.")
    content = contents(root, inputs)
    leaves = {k: v for k, v in flatten(tree) if not k.startswith(("finetune.", "explain.", "fid."))}
    return Plan(root, tree, tune, inputs, content, digest(leaves, content))


@contextmanager
def alone(plan: Plan) -> Iterator[None]:
    """Hold the record of a search: two processes would write into each other's.

    Raises:
        ImpastoError: another process holds it.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(plan.folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        what = "another process is at this search"
        remedy = "Wait for it, or end it: the same command goes on from what is on record."
        raise ImpastoError(what, where=str(plan.folder), remedy=remedy) from error
    try:
        yield
    finally:
        lock.release()


def carry_out(
    plan: Plan, workers: Workers, log: SearchRun, threads: int, each: Callable[[list[Done]], None]
) -> list[Done]:
    """Run all searches, each from the best trial so far.

    Args:
        plan: what is searched.
        workers: who computes.
        log: where trials are logged.
        threads: CPU threads of a trial.
        each: called with the searches that are done whenever one is.

    Raises:
        ImpastoError: no trial has finished, or the workers are gone.
    """
    job = Job(str(plan.root), plan.inputs, plan.content, {}, 0, None, threads)
    context = Context(plan.tree, plan.tune, plan.folder, job, workers, log)
    done: list[Done] = []
    base: dict[str, Any] = {}
    for index, search in enumerate(plan.tune.searches):
        method = population if search.method == "pbt" else independent
        trials: list[Trial] = method(context, index, search, base)
        done.append(Done(search, base, trials))
        each(done)
        base = leaves_of(*best_of(done), None)
    return done


def _require_searches(tree: Mapping[str, Any], tune: Tune, pipeline: Path) -> None:
    epochs = tune.epochs or int(tree["train"]["epochs"])
    space.require_one_population(tune.searches)
    for search in tune.searches:
        if search.method == "bayes":
            require_engine("optuna")
        space.require_searchable(pipeline, search)
        own = space.without_choosing(tree, tune, search.method)
        if search.method == "pbt":
            space.starts(tree, search)
            if len(boundaries(search, epochs)) < 2:
                when = f"burn_in {search.burn_in}, interval {search.interval}"
                what = f"a population of {epochs} epochs is never compared: {when}"
                raise _refused(what, "Lower burn_in or interval, or raise tune.epochs.")
        if search.halving and search.halving.grace >= epochs:
            what = f"halving.grace is {search.halving.grace}, but a trial has {epochs} epochs"
            raise _refused(what, "Lower grace, or leave out halving.")
        space.require_points(own, search, {})


def _require_inputs(root: Path, inputs: Mapping[str, str], pipeline: Path) -> None:
    makers = space.above(pipeline)
    missing = [path for path in inputs.values() if not (root / path).exists()]
    if missing:
        stages = " ".join(dict.fromkeys(makers[path] for path in makers if path in missing))
        what = f"{', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist"
        raise _refused(what, f"Run `dvc repro {stages}`: trials train on what these stages make.")


def _require_current(root: Path, tree: Mapping[str, Any], pipeline: Path) -> None:
    """The stages before were run with the parameters as they are: trials would read what others made."""
    lock = root / "dvc.lock"
    ran = parse_yaml(lock.read_bytes()).get("stages") or {} if lock.exists() else {}
    now = dict(flatten(tree))
    for stage in dict.fromkeys(space.above(pipeline).values()):
        used = dict(flatten((ran.get(stage) or {}).get("params", {}).get("params.yaml", {})))
        for leaf, value in used.items():
            if now.get(leaf) != value:
                what = f"{leaf} is {now.get(leaf)}, but {stage} was run with {value}"
                raise _refused(
                    what, f"Run `dvc repro {stage}`, and what comes after it: `dvc repro train` does it all."
                )


def _refused(what: str, remedy: str) -> ImpastoError:
    return ImpastoError(what, where=_WHERE, remedy=remedy)
