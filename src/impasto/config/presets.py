"""Presets: overlays on params.yaml, layers that compose, and the rows of a paper's tables, each a list of layers.

``presets/NAME.yaml`` is an overlay that stands alone. A folder ``presets/PAPER`` holds layers of one idea each;
``common.yaml`` lies under all of them, ``A+B.yaml`` is what holds where both A and B are there (at 64 px a network
has another stride), and ``rows.yaml`` lists the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from impasto.config.base import flatten, nearest, read_yaml
from impasto.errors import ImpastoError

_COMMON, _ROWS, _BOTH = "common", "rows", "+"
_STRICT = ConfigDict(frozen=True, extra="forbid")


class Row(BaseModel):
    """A row of a table, or a curve of a figure, as a paper has it, and the preset that makes it.

    Attributes:
        layers: names of layers in their order; none if the paper cites the row from another one.
        set: the leaves, as a tree, in which the row differs from its layers.
        sweep: leaf -> its values; the points are their product.
        paper: the paper's value for each of the group's columns, or all values of each column where it is a sweep.
        mean: means over the seeds that the authors logged, for ``LOGGED``; ``std`` their standard deviations.
        runs: how many runs that are.
        remark: what one must know to compare.
    """

    model_config = _STRICT
    layers: list[str] = []
    set: dict[str, Any] = {}
    sweep: dict[str, list[Any]] = {}
    paper: list[float | list[float] | None] = []
    mean: list[float] = []
    std: list[float] = []
    runs: int = 3
    remark: str = ""


LOGGED = ("Acc", "C19", "C15", "Cb")
"""What the means of a row stand for."""


class Group(BaseModel):
    """A table or figure: its title, the names of its columns, what holds for all its rows, and these by name."""

    model_config = _STRICT
    title: str
    columns: list[str]
    about: str = ""
    rows: dict[str, Row] = Field(min_length=1)


class Composition(NamedTuple):
    """What a preset changes: values by leaf, and of a sweep lists of values by leaf."""

    leaves: dict[str, Any]
    sweep: dict[str, list[Any]]

    def points(self) -> Iterator[dict[str, Any]]:
        """The swept leaves of every point, the last leaf changing fastest; without a sweep one point without leaves."""
        for values in product(*self.sweep.values()):
            yield dict(zip(self.sweep, values, strict=True))


class Presets:
    """All presets in a folder; a file is read when it is asked for.

    Attributes:
        layers: name -> file of every overlay that can be named, those that stand alone first.
        pairs: two names -> file of what holds where both are there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = [*sorted(folder.glob("*.yaml")), *sorted(folder.glob("*/*.yaml"))]
        self.layers = {path.stem: path for path in files if _BOTH not in path.stem}
        self.pairs = {frozenset(path.stem.split(_BOTH)): path for path in files if _BOTH in path.stem}
        for name in (_COMMON, _ROWS):
            self.layers.pop(name, None)
        self._read = cache(read_overlay)

    @cached_property
    def groups(self) -> dict[str, Group]:
        """The tables and figures of all papers by name.

        Raises:
            ImpastoError: a list of rows is not what it must be.
        """
        return {name: group for path in sorted(self.folder.glob(f"*/{_ROWS}.yaml")) for name, group in _groups(path)}

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The rows of all groups by name."""
        return {name: row for group in self.groups.values() for name, row in group.rows.items()}

    def compose(self, names: Sequence[str]) -> Composition:
        """Lay presets over one another in their order, each over those before it.

        Args:
            names: of layers or rows; a row stands for its layers and its own leaves.

        Raises:
            ImpastoError: there is no such preset, or a row is one that the paper only cites.
        """
        leaves: dict[str, Any] = {}
        sweep: dict[str, list[Any]] = {}
        there: list[str] = []
        for name in names:
            row = self._row(name)
            for layer in row.layers if row else [name]:
                for path in self._files(layer, there):
                    leaves |= self._read(path)
                there.append(layer)
            if row:
                leaves |= dict(flatten(row.set))
                sweep |= row.sweep
        return Composition({leaf: value for leaf, value in leaves.items() if leaf not in sweep}, sweep)

    def title(self, name: str) -> str:
        """The first line of a layer's file, which says what it is."""
        first = self.layers[name].read_text(encoding="utf-8").partition("\n")[0]
        return first.removeprefix("#").strip() if first.startswith("#") else ""

    def _row(self, name: str) -> Row | None:
        row = None if name in self.layers else self.rows.get(name)
        if row and not row.layers:
            raise ImpastoError(
                f"{name} has no preset: {row.remark}",
                where=str(self.folder),
                remedy="docs/results.md lists the others.",
            )
        return row

    def _files(self, layer: str, there: Sequence[str]) -> Iterator[Path]:
        """The file of a layer, before it what lies under it, after it what it has in common with those there."""
        if layer not in self.layers:
            known = [*self.layers, *self.rows, *self.groups]
            raise ImpastoError(f"there is no preset {layer!r}", where=str(self.folder), remedy=nearest(layer, known))
        path = self.layers[layer]
        common = path.with_name(f"{_COMMON}.yaml")
        if common.exists() and not any(self.layers[other].parent == path.parent for other in there):
            yield common
        yield path
        yield from (self.pairs[pair] for other in there if (pair := frozenset((other, layer))) in self.pairs)


def read_overlay(path: Path) -> dict[str, Any]:
    """The leaves of an overlay, as ``train.epochs``, and their values.

    Raises:
        ImpastoError: the file is no YAML mapping.
    """
    return dict(flatten(_laid_out(path)))


def _groups(path: Path) -> Iterator[tuple[str, Group]]:
    for name, group in _laid_out(path).items():
        try:
            yield name, Group.model_validate(group)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, (name, *fault["loc"])))
            raise ImpastoError(f"{place}: {fault['msg']}", where=str(path), remedy="Correct it there.") from None


def _laid_out(path: Path) -> dict[str, Any]:
    """A YAML mapping whose lists and numbers remember how they are written, as params.yaml is to have them."""
    read_yaml(path)  # tells faults
    tree: dict[str, Any] = YAML().load(path)
    return tree
