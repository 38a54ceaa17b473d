"""Labelled images on disk: one uint8 array, one label array, one JSON file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from impasto.errors import ImpastoError
from impasto.io import digest, read_json, read_npy, write_json, write_npy


@dataclass(frozen=True)
class Images:
    """Images with labels.

    Attributes:
        pixels: uint8 [N, 3, H, W], RGB; a read-only memory map when loaded from disk.
        labels: int64 [N], indices into ``classes``.
        classes: names of the classes.
        source: where the images come from, in words.
        notes: more facts for ``meta.json``, such as a licence.
        validation: int64 [V], the rows that the dataset itself holds out; None where it says nothing of it.
        groups: int64 [N], what must not be divided, such as the pages of one book; None where rows are independent.
        names: str [N], the files that they were read from, in their folder; None where each has none of its own.
    """

    pixels: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    source: str
    notes: Mapping[str, Any] = field(default_factory=dict)
    validation: np.ndarray | None = None
    groups: np.ndarray | None = None
    names: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape, n = self.pixels.shape, len(self.labels)
        if self.pixels.dtype != np.uint8 or len(shape) != 4 or shape[1] != 3 or shape[0] != n:
            raise ValueError(f"expected uint8 [{n}, 3, H, W], got {self.pixels.dtype} {list(shape)}")

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> dict[str, int]:
        """Images per class."""
        return dict(zip(self.classes, np.bincount(self.labels, minlength=len(self.classes)).tolist(), strict=True))

    def save(self, folder: Path) -> None:
        """Write ``images.npy``, ``labels.npy`` and ``meta.json``; the last one is written last."""
        write_npy(folder / "images.npy", self.pixels)
        self.describe(folder)

    def describe(self, folder: Path) -> None:
        """Write ``labels.npy`` and ``meta.json`` beside an ``images.npy`` that is there already."""
        write_npy(folder / "labels.npy", self.labels)
        for name in _OPTIONAL:
            column = getattr(self, name)
            if column is None:  # another dataset may have left one there
                (folder / f"{name}.npy").unlink(missing_ok=True)
            else:
                write_npy(folder / f"{name}.npy", column)
        meta = {"classes": list(self.classes), "counts": self.counts(), "n": len(self), "source": self.source}
        content = digest(folder / "images.npy", folder / "labels.npy")
        write_json(folder / "meta.json", {**self.notes, **meta, "digest": content})

    @classmethod
    def load(cls, folder: Path) -> Images:
        """Open a saved folder, pixels as a memory map.

        Raises:
            ImpastoError: a file is missing or unreadable.
        """
        meta = read_json(folder / "meta.json")
        pixels, labels = read_npy(folder / "images.npy"), np.array(read_npy(folder / "labels.npy"))
        notes = {key: value for key, value in meta.items() if key not in _OWN}
        columns = {name: _optional(folder / f"{name}.npy") for name in _OPTIONAL}
        return cls(pixels, labels, tuple(meta["classes"]), meta["source"], notes, **columns)

    def take(self, rows: np.ndarray) -> Images:
        """The images at ``rows`` (int64 [M]), copied into memory; what the dataset holds out is forgotten."""
        groups, names = (None if column is None else column[rows] for column in (self.groups, self.names))
        pixels, labels = self.pixels[rows], self.labels[rows]
        return Images(pixels, labels, self.classes, self.source, self.notes, None, groups, names)

    def name(self, row: int) -> str:
        """The file of an image; empty where it has none of its own."""
        return "" if self.names is None else str(self.names[row])


_OWN = frozenset({"classes", "counts", "n", "source", "digest"})  # in meta.json; all else are notes
_OPTIONAL = ("validation", "groups", "names")


def _optional(file: Path) -> np.ndarray | None:
    return np.array(read_npy(file)) if file.exists() else None


def stratified(
    labels: np.ndarray, share: float, generator: np.random.Generator, classes: tuple[str, ...] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows at random, the same share of every class.

    Args:
        labels: int64 [N].
        share: fraction in (0, 1) that goes to the second part, rounded to the nearest whole image per class.
        generator: source of the permutation.
        classes: names of the classes, for the error.

    Returns:
        Two sorted int64 index arrays that together hold every row once.

    Raises:
        ImpastoError: a class has too few images to give at least one to each part.
    """
    second = []
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        count = round(share * len(rows))
        if not 0 < count < len(rows):
            raise ImpastoError(
                f"class {classes[label] if classes else label} has {len(rows)} images, too few to give a share of "
                f"{share} away",
                where="dataset",
                remedy="Add images to that class or change dataset.validation or dataset.test.",
            )
        second.append(rows[:count])
    chosen = np.sort(np.concatenate(second))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


def batches(pixels: np.ndarray, size: int, device: torch.device) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield ``(rows, uint8 batch on the device)`` in order; the last batch may be smaller."""
    for start in range(0, len(pixels), size):
        rows = slice(start, min(start + size, len(pixels)))
        yield rows, to_device(pixels[rows], device)


def read_rows(pixels: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
    """Some rows of an array; a memory map is opened anew, so that the pages of a long pass do not add up."""
    if isinstance(pixels, np.memmap) and pixels.filename:
        whole: np.ndarray = np.load(pixels.filename, mmap_mode="r", allow_pickle=False)
        if whole.shape == pixels.shape:  # and no view of a part
            return np.array(whole[rows])
    return pixels[rows]


@dataclass(frozen=True)
class Rows:
    """Chosen images of an array, read a slice at a time: the set never stands in memory whole.

    Attributes:
        pixels: uint8 [N, 3, H, W], such as the memory map of a file.
        index: int64 [M], the rows, in the order of the set.
    """

    pixels: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, part: slice) -> np.ndarray:
        return read_rows(self.pixels, self.index[part])


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Copy an array, memory-mapped or not, into a tensor on the device."""
    return torch.from_numpy(np.array(array)).to(device)


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """uint8 [B, 3, H, W] to float32 in [0, 1], in the memory format in which convolutions run fastest."""
    return images.to(dtype=torch.float32, memory_format=torch.channels_last).div_(255)
