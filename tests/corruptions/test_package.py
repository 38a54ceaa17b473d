"""``from impasto.corruptions import corrupt``: what it gives and what it loads."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import impasto.corruptions
from impasto.corruptions import corrupt, names, registry

HEAVY = ("mlflow", "typer", "timm", "matplotlib", "pydantic", "dvc", "requests", "skimage", "cv2", "numba", "sklearn")


def loaded(program: str) -> set[str]:
    code = f"{program}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_functions_are_those_of_the_registry() -> None:
    assert corrupt is registry.corrupt and names is registry.names
    assert impasto.corruptions.__all__ == ("corrupt", "names")
    image = torch.full((1, 3, 32, 32), 90, dtype=torch.uint8)
    assert corrupt(image, "brightness", 1, seed=0, ids=torch.zeros(1, dtype=torch.int64)).float().mean() > 95


def test_the_library_loads_torch_and_nothing_of_the_pipeline() -> None:
    found = loaded(
        "from impasto.corruptions import corrupt, names; import torch\n"
        "x = torch.full((1, 3, 32, 32), 90, dtype=torch.uint8)\n"
        "corrupt(x, 'gaussian_noise', 1, seed=0, ids=torch.zeros(1, dtype=torch.int64))"
    )
    assert "torch" in found and not {name.partition(".")[0] for name in found} & set(HEAVY)


def test_the_package_alone_and_its_constants_load_nothing() -> None:
    """The stage `check` reads the constants, and takes a second."""
    found = loaded("import impasto.corruptions, impasto.corruptions.tables, impasto.corruptions.sets")
    assert not found & {"torch", "numpy", "impasto.corruptions.registry"}


def test_other_names_are_refused_as_usual() -> None:
    with pytest.raises(AttributeError, match=r"module 'impasto.corruptions' has no attribute 'corupt'"):
        impasto.corruptions.corupt  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'spoil'"):
        from impasto.corruptions import spoil  # noqa: F401
