"""What logging to MLflow takes of a training epoch, to the local store alone and with a server on this machine.

Run: ``python benchmarks/tracking.py``. The default network on images of the default's number and size, without styles,
whose epochs are the shortest; what is logged is what the stage ``train`` logs, by the same calls.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path

import numpy as np
import torch

from epoch import loop
from impasto.data.stream import Stream
from impasto.loop import Loop
from impasto.rng import numpy_generator
from impasto.tracking.push import answers
from impasto.tracking.stage import stage_run
from timing import show, single_thread

_PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
_VALIDATION = {"validation_loss": 0.5, "validation_accuracy": 0.5}  # what a row has besides those of the loop
_PORT = 5098


def measure(n: int = 3500, epochs: int = 30, server: bool = True) -> dict[str, float | int | None]:
    """Train for ``epochs`` epochs twice, logging to the local store, then to a server as well; single thread.

    Returns:
        The median of an epoch, the mean of what logging adds to one, since most epochs only take notes and every
        five seconds one writes, this in percent of that, and what opening and closing a run takes, once a stage.
    """
    with single_thread():
        pixels = numpy_generator(0, "benchmark").integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
        images = Stream(pixels, np.arange(n) % 10, np.arange(n), torch.device("cpu"))
        arm = loop(images, _as_it_is, 0.0, 1.0, trivial=False)
        arm.run(0)  # caches fill
        found: dict[str, float | int | None] = {"n": n, "epochs": epochs, "threads": 1}
        found |= _logged(arm, epochs, "local", None)
        if not server:
            return found | dict.fromkeys(("server_epoch_s", "server_ms", "server_percent", "server_stage_s"))
        with _server() as uri:
            return found | _logged(arm, epochs, "server", uri)


def _as_it_is(images: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
    """In the place of a painter, which has nothing to paint."""
    return images


def _logged(arm: Loop, epochs: int, name: str, uri: str | None) -> dict[str, float]:
    times: list[tuple[float, float]] = []
    with _workspace(uri):
        begun = time.perf_counter()
        with stage_run("train", {"train.epochs": epochs}, "impasto digits") as run:
            opened = time.perf_counter()
            for epoch in range(epochs):
                start = time.perf_counter()
                row = arm.run(epoch) | _VALIDATION
                trained = time.perf_counter()
                run.metrics(row, step=epoch)
                if epoch == epochs - 1:
                    run.flush()
                times.append((trained - start, time.perf_counter() - trained))
            closing = time.perf_counter()
        around = opened - begun + time.perf_counter() - closing
    epoch, logged = statistics.median(each for each, _ in times), statistics.mean(each for _, each in times)
    return {
        f"{name}_epoch_s": round(epoch, 3),
        f"{name}_ms": round(1000 * logged, 2),
        f"{name}_percent": round(100 * logged / epoch, 2),
        f"{name}_stage_s": round(around, 2),
    }


@contextmanager
def _workspace(uri: str | None) -> Iterator[None]:
    """An empty folder as the repository, whose store is there already, and the server's address in the environment."""
    before = dict(os.environ)
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "DVC_STAGE"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        shutil.copy(_PARAMS, "params.yaml")
        with stage_run("check", {}, "impasto digits"):  # which writes the schema
            pass
        os.environ |= {"MLFLOW_TRACKING_URI": uri} if uri else {}
        try:
            yield
        finally:
            os.environ.clear()
            os.environ |= before


@contextmanager
def _server() -> Iterator[str]:
    """A real MLflow server on an empty folder."""
    uri = f"http://127.0.0.1:{_PORT}"
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        words = [sys.executable, "-m", "mlflow", "server", "--port", str(_PORT), "--workers", "1"]
        words += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/files"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        bare = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        process = subprocess.Popen(words, env=os.environ | bare, **quiet)
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        while not answers(uri):
            if process.poll() is not None:
                raise RuntimeError(f"no MLflow server on port {_PORT}")
            time.sleep(0.5)
        yield uri


if __name__ == "__main__":
    show(measure())
