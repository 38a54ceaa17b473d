"""Stages that several processes compute together: on one machine by a setting, on more of them under torchrun."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import typer

from impasto.errors import ImpastoError
from impasto.runtime import first, runtime
from impasto.stages.usage import INTERRUPTED

P = ParamSpec("P")

_PATIENCE = 5.0  # seconds in which torchrun ends the others once one has failed; it looks ten times a second
_TOLD = (2, INTERRUPTED)  # exit codes of a process that has said why


def together(function: Callable[P, None]) -> Callable[P, None]:
    """Let the processes that torchrun has started call a stage together; start IMPASTO_PROCESSES of them if asked to.

    One process calls it and does nothing else. What goes wrong is told once: by the first process, or, where that knows
    no more than that another is gone, by whoever started them.
    """

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> None:
        if "WORLD_SIZE" in os.environ:
            _join(lambda: function(*args, **kwargs))
        elif runtime().processes > 1:
            _start(function.__name__, runtime().processes, kwargs)
        else:
            function(*args, **kwargs)

    called.__dict__["together"] = True
    return called


def _join(action: Callable[[], None]) -> None:
    from impasto import ranks

    try:
        with ranks.joined():
            action()
    except KeyboardInterrupt:
        if first():
            raise
        raise typer.Exit(INTERRUPTED) from None  # all have been interrupted, and one says so
    except (ImpastoError, OSError) as error:
        if not first() or isinstance(error, ranks.LostError):
            time.sleep(_PATIENCE)
        raise


def _start(stage: str, processes: int, options: dict[str, Any]) -> None:
    """Run a stage under torchrun, with its options; returns when all processes have ended well."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    launcher = ["--standalone", "--nproc-per-node", str(processes), "-m", "impasto.stages", stage, *words]
    logging.disable(logging.CRITICAL)  # torchrun's reports of what is told below
    try:
        run(parse_args(launcher))
    except SignalException as error:
        raise typer.Exit(128 + int(error.sigval)) from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode in _TOLD:
            raise typer.Exit(failure.exitcode) from None
        killed = f"was killed by {failure.signal_name()}"
        raise ImpastoError(
            f"process {rank} of {processes} {killed if failure.exitcode < 0 else f'failed ({failure.exitcode})'}, "
            "and the others were ended",
            where=f"IMPASTO_PROCESSES={processes}: {stage}",
            remedy="The same command goes on from the last saved point, also with another number of processes.",
        ) from None
    finally:
        logging.disable(logging.NOTSET)
