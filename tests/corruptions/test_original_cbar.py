"""The loops over pixels that the benchmark times compute what the definition does."""

import importlib.util
from types import ModuleType

import cbar_reference as reference
import numpy as np
import pytest

from impasto.corruptions.registry import parameters_of
from impasto.corruptions.sets import C_BAR
from tiny import ROOT


@pytest.fixture(scope="module")
def original() -> ModuleType:
    """benchmarks/original_cbar.py."""
    spec = importlib.util.spec_from_file_location("original_cbar", ROOT / "benchmarks" / "original_cbar.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_the_ten_for_cifar(original: ModuleType) -> None:
    assert set(original.FUNCTIONS) == set(C_BAR["cifar"])


@pytest.mark.parametrize("name", C_BAR["cifar"])
def test_each_is_its_definition(original: ModuleType, name: str) -> None:
    rng, (severity,) = np.random.default_rng(2), parameters_of(name, 3, "cifar")
    for image in rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8):
        draws = getattr(reference, f"draw_{name}")(rng, (32, 32), severity)
        found, expected = (
            each(image, severity, **draws) for each in (original.FUNCTIONS[name], getattr(reference, name))
        )
        assert found.dtype == np.uint8 and np.array_equal(found, expected)
        assert not np.array_equal(found, image)
