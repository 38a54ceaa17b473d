"""Search parameters of training on this machine or on a Ray cluster, and write the best ones as a preset."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from impasto.config.base import read_yaml
from impasto.errors import ImpastoError
from impasto.runtime import runtime
from impasto.stages.command import PARAMS, Params, command
from impasto.tracking.execution import experiment_name
from impasto.tracking.search import search_run
from impasto.tuning.cluster import ray_workers
from impasto.tuning.page import write_page
from impasto.tuning.results import Done, best_of, leaves_of, write_preset, write_trials
from impasto.tuning.run import Plan, alone, carry_out, prepare
from impasto.tuning.space import told
from impasto.tuning.workers import Here, Workers
from impasto.workspace import main_root

OUT = Path("tune")


@command
def tune(
    address: Annotated[
        str | None, typer.Option(help="HOST:PORT of a running Ray cluster; else Ray starts here")
    ] = None,
    cpus: Annotated[int | None, typer.Option(min=1, help="CPU cores of a trial; IMPASTO_THREADS or 1.")] = None,
    gpus: Annotated[float | None, typer.Option(min=0, help="GPUs of a trial, also a part of one; 1 or 0.")] = None,
    here: Annotated[
        bool, typer.Option("--here", help="One trial after the other in this process, without Ray.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of what is found.")] = OUT,
    params: Params = PARAMS,
) -> None:
    """Search what `tune` of params.yaml says. Trials see the training and the validation split, never the test split.

    A search that was killed goes on where it was: the same command again.
    """
    if here and address:
        raise ImpastoError("--here and --address exclude each other", where="impasto tune", remedy="Leave out one.")
    plan, threads = prepare(main_root(), params), cpus or runtime().threads or 1
    inputs = {name: plan.root / path for name, path in plan.inputs.items()}
    experiment = experiment_name(read_yaml(params))
    with (
        alone(plan),
        _workers(here, address, threads, gpus) as workers,
        search_run(plan.key, experiment, plan.tree, inputs) as log,
    ):
        done = carry_out(plan, workers, log, threads, lambda found: write_trials(out / "trials.csv", found))
        for path in _write(out, plan, done):
            log.artifact(path)
        log.summary({f"best/{name}": value for name, value in best_of(done)[1].parts.items()})
    print(_told(out, plan, done))


@contextmanager
def _workers(here: bool, address: str | None, cpus: int, gpus: float | None) -> Iterator[Workers]:
    if here:
        yield Here()
        return
    with ray_workers(address, cpus, _gpus() if gpus is None else gpus) as workers:
        yield workers


def _gpus() -> float:
    """One, where there is one to be used; a cluster's are asked for by ``--gpus``."""
    import torch

    return 1.0 if runtime().device != "cpu" and torch.cuda.is_available() else 0.0


def _write(out: Path, plan: Plan, done: list[Done]) -> list[Path]:
    best, trial = best_of(done)
    number = sum(len(one.trials) for one in done)
    title = (
        f"The best of {number} trials of `impasto tune`: {plan.tune.objective} {trial.score:.4f} on validation images"
    )
    write_preset(out / "best.yaml", leaves_of(best, trial, plan.tune.epochs), title)
    write_trials(out / "trials.csv", done)
    return [out / "best.yaml", out / "trials.csv", *write_page(out, plan.tune, done)]


def _told(out: Path, plan: Plan, done: list[Done]) -> str:
    best, trial = best_of(done)
    leaves = leaves_of(best, trial, plan.tune.epochs)
    head = f"best: {plan.tune.objective} {trial.score:.4f} on the validation split, {told(leaves)}"
    seen = f"all trials: {out / 'trials.csv'}; pictures: {out / 'report.html'}"
    return f"{head}\n{seen}\napply it: impasto preset {shlex.quote(str(out / 'best.yaml'))} && dvc repro"
