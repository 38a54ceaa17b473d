"""What every stage shares: parameters, resume points, tracking, timing, and errors in one line."""

from __future__ import annotations

import importlib.metadata
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

from impasto.checkpoint import Resume, forget_finished
from impasto.config.base import Section, flatten, load, read_yaml, tracked
from impasto.errors import ImpastoError
from impasto.io import missing, read_json, write_record
from impasto.runtime import first, runtime
from impasto.stages.usage import INTERRUPTED, OneLineCommand, start
from impasto.tracking.execution import experiment_name
from impasto.tracking.stage import StageRun, stage_run

P = ParamSpec("P")
S = TypeVar("S", bound=Section)
Params = Annotated[Path, typer.Option(help="The parameter file.")]
In = Annotated[Path, typer.Option(help="An input that another stage writes.", show_default=False)]
Out = Annotated[Path, typer.Option(help="An output of this stage.", show_default=False)]

PARAMS = Path("params.yaml")


@dataclass
class Stage:
    """A stage while it runs.

    Attributes:
        name: its name in dvc.yaml.
        params: the parameter file.
        inputs: its inputs by name.
        run: the MLflow run.
    """

    name: str
    params: Path
    inputs: Mapping[str, Path]
    run: StageRun

    def load(self, section: type[S]) -> S:
        """A section of the parameters, cut down to what dvc.yaml tracks for this stage."""
        return load(self.params, section, self.name)

    def resume(self, purpose: str, *parts: Any, divided: bool = False) -> Resume:
        """The resume point of one loop, keyed by this stage's parameters, inputs and code, and by ``parts``.

        Device and threads decide the last bits, and are part of the key. A ``divided`` run, of several processes, may
        be taken up by another number of them, which has other last bits and other threads: there they are not.
        """
        import torch

        from impasto.runtime import device

        carried = [str(device()), "any" if divided else torch.get_num_threads()]
        leaves = stage_parameters(self.params, self.name)
        return Resume(f"{self.name}-{purpose}", carried, leaves, *parts, *self._dependencies())

    def _dependencies(self) -> list[Any]:
        pipeline = self.params.with_name("dvc.yaml")
        if not pipeline.exists():
            return [importlib.metadata.version("impasto"), *self.inputs.values()]
        return [self.params.parent / entry for entry in read_yaml(pipeline)["stages"][self.name]["deps"]]


@contextmanager
def stage(name: str, params: Path, timing: Path | None, **inputs: Path) -> Iterator[Stage]:
    """Run the body of a stage inside an MLflow run and write how long it took.

    Args:
        name: its name in dvc.yaml.
        params: the parameter file.
        timing: where to write wall seconds, CPU seconds and peak memory; None writes nothing.
        inputs: files and folders that other stages wrote.

    Raises:
        ImpastoError: an input is missing, or the parameters of the stage are others at its end than at its start.
    """
    begun = time.monotonic()
    if first():
        forget_finished(name)
    for path in inputs.values():
        if not path.exists():
            raise missing(path)
    leaves = stage_parameters(params, name)
    with stage_run(name, leaves, experiment_name(read_yaml(params)), inputs) as run:
        for path in inputs.values():
            log_dataset(run, path)
        yield Stage(name, params, inputs, run)
        _require_unchanged(params, name, leaves)
        if timing is not None and first():
            write_record(timing, {"stage": name, **_cost(begun)})


def _require_unchanged(params: Path, name: str, before: Mapping[str, Any]) -> None:
    """DVC records the parameters as they are when a stage ends: these must be those that it ran with."""
    now = stage_parameters(params, name)
    changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if changed:
        what = f"{', '.join(changed)} changed while {name} ran"
        raise ImpastoError(what, where=str(params), remedy="Run `dvc repro` again: nothing is recorded of this run.")


def log_dataset(run: StageRun, folder: Path) -> None:
    """Log a folder of images (see :mod:`impasto.data.images`) as a dataset; any other path is passed over."""
    meta = folder / "meta.json"
    facts = read_json(meta) if meta.exists() else {}
    if "source" in facts:
        run.dataset(folder.as_posix(), folder, facts["source"], folder.name)


def stage_parameters(params: Path, name: str) -> dict[str, Any]:
    """The leaves of params.yaml that dvc.yaml tracks for a stage, flat; all leaves where there is no dvc.yaml."""
    leaves = dict(flatten(read_yaml(params)))
    pipeline = params.with_name("dvc.yaml")
    if not pipeline.exists() or name == "check":
        return leaves
    entries = tracked(pipeline, name)
    return {k: v for k, v in leaves.items() if any(k == entry or k.startswith(f"{entry}.") for entry in entries)}


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Make a function a command: what the user can mend is one line on standard error and exit code 2.

    Of several processes under torchrun the first one alone calls it, unless it is for them together.
    """

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            runtime()  # a wrong variable is told before any work
            if first() or hasattr(function, "together"):
                function(*args, **kwargs)
        except ImpastoError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        except OSError as error:
            remedy = "Check the path, its permissions and the free space."
            print(f"error: {error.strerror or error} [{error.filename or 'disk'}]. {remedy}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print("interrupted: the same command goes on from the last saved point", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    return guarded


def run(function: Callable[..., None]) -> None:
    """Run one command as a program: ``python -m impasto.stages.NAME``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=OneLineCommand)(function)
    start(app)


def _cost(begun: float) -> dict[str, Any]:
    torch = sys.modules.get("torch")  # a stage that does not compute has not imported it
    usage = resource.getrusage(resource.RUSAGE_SELF)
    per_mb = 1024 * 1024 if sys.platform == "darwin" else 1024
    return {
        "wall_seconds": round(time.monotonic() - begun, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_mb": round(usage.ru_maxrss / per_mb),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads() if torch else 1,
        "device": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else "cpu",
    }
