"""Where corrupted test images come from: made on the fly from the clean ones, or read from a benchmark's files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from impasto.config.evaluate import Evaluate
from impasto.corrupted.agreement import MisfitError, require_alike, require_kin
from impasto.corrupted.layout import holds_set
from impasto.corrupted.stored import StoredSet
from impasto.corruptions import frost_bank
from impasto.corruptions.registry import corrupt
from impasto.corruptions.sets import aggregates, expand
from impasto.corruptions.tables import table_for
from impasto.data.image_folder import ImageFolder
from impasto.data.images import Images, read_rows, to_device
from impasto.errors import ImpastoError
from impasto.progress import notice
from impasto.workspace import main_root

#: A clean or corrupted test set: ("clean", 0) or (corruption, severity).
Cell = tuple[str, int]
CLEAN: Cell = ("clean", 0)


class Choice(NamedTuple):
    """What an evaluation measures."""

    names: tuple[str, ...]
    """The corruptions."""
    means: dict[str, tuple[str, ...]]
    """Which of them enter which mean."""

    def cells(self, severities: list[int]) -> list[Cell]:
        """The clean set, then every corruption at every severity."""
        return [CLEAN, *((name, severity) for name in self.names for severity in severities)]


def choose(config: Evaluate, side: int) -> Choice:
    """The corruptions that the parameters ask for, or what stands in for them.

    Where no photographs of frost are at hand, ``frost_procedural`` is measured in its place and enters no mean.

    Args:
        config: what is asked for.
        side: the shorter side of the images, px: it decides the table of constants where that is ``auto``.

    Raises:
        ImpastoError: a photograph is missing or another file, or nothing is left for C.
    """
    table = table_for(side) if config.table == "auto" else config.table
    c, c_bar = expand(config.corruptions, table), expand(config.c_bar, table)
    lacking = config.corrupted == "generated" and "frost" in (*c, *c_bar) and not _photographs(config.frost_bank)
    counted, barred = (tuple(name for name in some if name != "frost" or not lacking) for some in (c, c_bar))
    if not counted:
        remedy = "Name a folder as evaluate.frost_bank, install imagecorruptions-imaug or add a corruption."
        raise ImpastoError("C is left with no corruption", where="evaluate.corruptions", remedy=remedy)
    names = ("frost_procedural" if name == "frost" and lacking else name for name in (*c, *c_bar))
    return Choice(tuple(dict.fromkeys(names)), aggregates(counted, barred))


def open_sets(images: Images, config: Evaluate, choice: Choice, device: torch.device) -> CorruptedSets:
    """The test sets that the parameters ask for; see :class:`Generated` and :class:`Official`."""
    if config.corrupted == "official":
        return Official(images, main_root() / Path(str(config.root)).expanduser(), choice.names, device)
    return Generated(images, config, device)


def _photographs(folder: str | None) -> bool:
    """Whether there are photographs of frost, which later calls of ``corrupt`` then take."""
    place = main_root() / Path(folder).expanduser() if folder else None
    frost_bank.use(place)
    try:
        frost_bank.find(place)
    except ImpastoError:
        return False
    frost_bank.verify()  # a wrong file is told now, not between two corruptions
    return True


class CorruptedSets(Protocol):
    """Every cell of an evaluation, opened batch by batch: memory does not grow with the size of a set."""

    source: str
    """Where the corrupted images come from, in words."""

    state: tuple[tuple[str, int, int], ...]
    """The files that DVC does not watch, with size and time of change, ns: a killed run goes on with the same ones."""

    def labels(self, cell: Cell) -> np.ndarray:
        """The true classes, int64 [N], indices into the classes of the clean test set."""

    def batch(self, cell: Cell, rows: slice) -> Tensor:
        """Some of the images, uint8 [B, 3, H, W] on the device."""


class Generated:
    """The clean test images, corrupted when they are asked for.

    Args:
        images: the clean test set.
        config: table of constants and seed of the noise.
        device: where the images are corrupted.
    """

    source = "generated"
    state: tuple[tuple[str, int, int], ...] = ()

    def __init__(self, images: Images, config: Evaluate, device: torch.device) -> None:
        self._images, self._seed, self._device = images, config.seed, device
        self._table = None if config.table == "auto" else config.table

    def labels(self, cell: Cell) -> np.ndarray:
        """Those of the clean images."""
        return self._images.labels

    def batch(self, cell: Cell, rows: slice) -> Tensor:
        """See :class:`CorruptedSets`.

        Raises:
            ImpastoError: the corruption is unknown, or the images are too small.
        """
        pixels = to_device(read_rows(self._images.pixels, rows), self._device)
        if cell == CLEAN:
            return pixels
        return corrupt(pixels, *cell, self._seed, torch.arange(rows.start, rows.stop), self._table)


class Official:
    """A benchmark's files: sets in the layout of -C, in one folder or in several beside each other.

    Args:
        images: the clean test set.
        root: a set, or a folder of sets such as ``CIFAR-10-C`` and ``CIFAR-10-C-bar``. Sets of other images that
            stand beside them, such as ``CIFAR-100-C``, are passed over with a notice.
        names: the corruptions that are asked for.
        device: where batches are wanted.

    Raises:
        ImpastoError: there is no set of the clean images, none of them has a corruption or two have it, or a file of
            those that are asked for is wrong.
    """

    def __init__(self, images: Images, root: Path, names: Sequence[str], device: torch.device) -> None:
        self._images, self._device = images, device
        fitting, others = _divide(_sets(root), images, names)
        if not fitting:
            raise _none_fits(root, others)
        _require(names, fitting, root, others)
        self._sets = [one for one in fitting if set(names) & set(one.names)]
        for reason in others:
            notice(f"passed over: {reason.what}")
        self._opened: tuple[Cell, ImageFolder] | None = None
        self.source = "; ".join(f"{one.root.name}, {one.description}" for one in self._sets)
        places = [path for one in self._sets for path in (*one.places.values(), one.root / "labels.npy")]
        facts = [(path, path.stat()) for path in places if path.exists()]
        self.state = tuple((str(path), each.st_size, each.st_mtime_ns) for path, each in facts)

    def labels(self, cell: Cell) -> np.ndarray:
        """Those of the clean images, or the set's own: its images may come in another order, or be others."""
        return self._images.labels if cell == CLEAN else self._holder(cell[0]).labels(*cell)

    def batch(self, cell: Cell, rows: slice) -> Tensor:
        """See :class:`CorruptedSets`.

        Raises:
            ImpastoError: no set has the corruption or the severity, or a file is damaged.
        """
        if cell == CLEAN:
            return to_device(read_rows(self._images.pixels, rows), self._device)
        return to_device(self._open(cell)[rows], self._device).permute(0, 3, 1, 2)

    def _open(self, cell: Cell) -> np.ndarray | ImageFolder:
        """A folder is listed once; an array is mapped anew for each batch, so that its pages do not add up."""
        if self._opened and self._opened[0] == cell:
            return self._opened[1]
        found = self._holder(cell[0]).open(*cell)
        if isinstance(found, ImageFolder):
            self._opened = cell, found
        return found

    def _holder(self, name: str) -> StoredSet:
        return next((one for one in self._sets if name in one.names), self._sets[0])


def _divide(sets: list[StoredSet], images: Images, names: Sequence[str]) -> tuple[list[StoredSet], list[MisfitError]]:
    """The sets that are of these images, and why the others are not; a damaged one of these is an error."""
    fitting, others = [], []
    for one in sets:
        try:
            require_kin(one, images)
            require_alike(one, images, [name for name in one.names if name in names])
            fitting.append(one)
        except MisfitError as reason:
            others.append(reason)
    return fitting, others


def _none_fits(root: Path, others: list[MisfitError]) -> ImpastoError:
    if len(others) == 1:
        return others[0]
    told = f"no set under {root} is of the clean test images: {_reasons(others)}"
    remedy = "Name the sets of this dataset; get them with `impasto fetch`, or make them with `impasto corrupt`."
    return ImpastoError(told, where="evaluate.root", remedy=remedy)


def _reasons(others: list[MisfitError]) -> str:
    return "; ".join(reason.what for reason in others)


def _require(names: Sequence[str], sets: list[StoredSet], root: Path, others: list[MisfitError]) -> None:
    for name in names:
        holders = [one.root for one in sets if name in one.names]
        if len(holders) > 1:
            told = f"{name} is in {holders[0]} and in {holders[1]}"
            remedy = "Name the folder of one set as evaluate.root, or move the other one away."
            raise ImpastoError(told, where="evaluate.root", remedy=remedy)
        if not holders:
            remedy = "Leave it out of evaluate.corruptions and evaluate.c_bar, or `impasto corrupt` a set that has it."
            passed = f" (passed over: {_reasons(others)})" if others else ""
            raise ImpastoError(f"no set under {root} has {name}{passed}", where="evaluate.root", remedy=remedy)


def _sets(root: Path) -> list[StoredSet]:
    beside = [root] if holds_set(root) else sorted(path for path in root.glob("*") if path.is_dir())
    found = [StoredSet(path) for path in beside if holds_set(path)]
    if not found:
        remedy = "Get one with `impasto fetch`, or make one with `impasto corrupt`."
        raise ImpastoError(f"{root} holds no corrupted test set", where="evaluate.root", remedy=remedy)
    return found
