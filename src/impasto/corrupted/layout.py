"""What lies in the folder of a corrupted test set, and its arrays opened without reading them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from impasto.corruptions.sets import C19, C_BAR
from impasto.errors import ImpastoError
from impasto.io import read_npy

ALIASES = {"blue_noise_sample": "blue_noise"}
"""Names of corruptions under which other generators store them."""

ORDER = tuple(dict.fromkeys((*C19, *C_BAR["cifar"], *C_BAR["imagenet"])))
"""The corruptions in the order of the benchmarks."""

REMEDY = "Fetch or make the set again."


def holds_set(root: Path) -> bool:
    """Whether a folder looks like a corrupted test set."""
    return bool(stored(root))


def stored(root: Path) -> dict[str, Path]:
    """The file or folder of each corruption in ``root``, by its name in the benchmarks."""
    entries = sorted(root.iterdir()) if root.is_dir() else []
    found = {path.stem: path for path in entries if path.suffix == ".npy" and path.name != "labels.npy"}
    found = found or {path.name: path for path in entries if any((path / str(s)).is_dir() for s in range(1, 6))}
    for name, alias in ALIASES.items():
        if name not in found and alias in found:
            found[name] = found.pop(alias)
    return {name: path for name, path in found.items() if not name.startswith(".")}


def open_npy(path: Path) -> np.ndarray:
    """A read-only memory map of a ``.npy`` file.

    Raises:
        ImpastoError: it is missing, truncated or no array.
    """
    try:
        return read_npy(path)
    except ImpastoError as error:
        raise ImpastoError(error.what, where=str(path.parent), remedy=REMEDY) from error


def npy_shape(path: Path) -> tuple[int, ...] | None:
    """The shape that the first bytes of a ``.npy`` file state, also of a truncated one; None where they do not."""
    with suppress(OSError, ValueError), path.open("rb") as file:
        header = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
        shape: tuple[int, ...] = header(file)[0]
        return shape
    return None
