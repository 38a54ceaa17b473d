"""Presets: overlays on params.yaml, layers that compose, and the rows of a paper's tables, each a list of layers.

``presets/NAME.yaml`` is an overlay on what params.yaml holds, or on the preset that it names as its ``base``.
A folder ``presets/PAPER`` holds layers of one idea each; ``common.yaml`` lies under all of them, ``A+B.yaml`` is what
holds where both A and B are there (at 64 px a network has another stride), and ``rows.yaml`` lists the tables.

A composition of layers that have a base is whole: it has one dataset and one network, so that neither the order of the
names nor an earlier preset leaves half of another one behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from impasto.config.base import flatten, nearest
from impasto.config.rows import Group, Row, laid_out, read_groups
from impasto.errors import ImpastoError

_COMMON, _ROWS, _BOTH, _BASE = "common", "rows", "+", "base"
_KINDS = {"dataset.name": "dataset", "model.name": "network"}  # who sets the leaf is one; they lie under the rest


class Composition(NamedTuple):
    """What a preset changes: values by leaf, and of a sweep lists of values by leaf."""

    leaves: dict[str, Any]
    sweep: dict[str, list[Any]]

    def points(self) -> Iterator[dict[str, Any]]:
        """The swept leaves of every point, the last leaf changing fastest; without a sweep one point without leaves."""
        for values in product(*self.sweep.values()):
            yield dict(zip(self.sweep, values, strict=True))


class _Part(NamedTuple):
    """A layer, or what a row has beside its layers, and the name in the call that stands for it."""

    said: str
    layer: str = ""
    row: Row | None = None


class Presets:
    """All presets in a folder; a file is read when it is asked for.

    Args:
        folder: where they are.
        files: of others, which are named by their paths: what `impasto tune` has found.

    Attributes:
        layers: name -> file of every overlay that can be named, those outside of a paper's folder first.
        pairs: two names -> file of what holds where both are there.

    Raises:
        ImpastoError: two files have one name.
    """

    def __init__(self, folder: Path, files: Sequence[Path] = ()) -> None:
        self.folder = folder
        others = {str(path): path for path in files}
        files = [*sorted(folder.glob("*.yaml")), *sorted(folder.glob("*/*.yaml"))]
        self.pairs = {frozenset(path.stem.split(_BOTH)): path for path in files if _BOTH in path.stem}
        self.layers: dict[str, Path] = {}
        for path in files:
            if _BOTH in path.stem or path.stem in {_COMMON, _ROWS}:
                continue
            if other := self.layers.get(path.stem):
                raise _refused(f"{other} and {path} have one name", folder, "Rename your own.")
            self.layers[path.stem] = path
        self.layers |= others
        self._read = cache(read_overlay)
        self._base = cache(self._base_of)

    @cached_property
    def groups(self) -> dict[str, Group]:
        """The tables and figures of all papers by name.

        Raises:
            ImpastoError: a list of rows is not what it must be.
        """
        files = sorted(self.folder.glob(f"*/{_ROWS}.yaml"))
        found = {name: group for path in files for name, group in read_groups(path)}
        for name in (name for key, group in found.items() for name in (key, *group.rows)):
            if path := self.layers.get(name):
                raise _refused(f"{path} has the name of a table or of a row of one", self.folder, "Rename it.")
        return found

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The rows of all groups by name."""
        return {name: row for group in self.groups.values() for name, row in group.rows.items()}

    def compose(self, names: Sequence[str]) -> Composition:
        """Lay presets over one another in their order, each over those before it; a sweep is given up where one does.

        Of layers with a base the dataset lies under the network, and this one under the others, however they are named.

        Args:
            names: of layers or rows; a row stands for its layers and its own leaves.

        Raises:
            ImpastoError: there is no such preset, a row is one that the paper only cites, a layer stands twice, two lie
                over different bases, or there is not one dataset and one network.
        """
        parts = [part for name in names for part in self._parts(name)]
        self._require_each_once(parts)
        self._require_one_base(parts)
        self._require_kinds(parts)
        leaves: dict[str, Any] = {}
        sweep: dict[str, list[Any]] = {}
        there: list[str] = []
        for part in self._in_order(parts):
            for new, swept in self._changes(part, there):
                sweep = {leaf: values for leaf, values in sweep.items() if leaf not in new} | swept
                leaves = {leaf: value for leaf, value in (leaves | new).items() if leaf not in swept}
            there.append(part.layer)
        return Composition(leaves, sweep)

    def title(self, name: str) -> str:
        """The first line of a layer's file, which says what it is."""
        first = self.layers[name].read_text(encoding="utf-8").partition("\n")[0]
        return first.removeprefix("#").strip() if first.startswith("#") else ""

    def _parts(self, name: str) -> Iterator[_Part]:
        """What a name stands for."""
        if name in self.layers:
            yield _Part(name, name)
            return
        if name in self.groups:
            told = f"{name} is a list of {len(self.groups[name].rows)} rows, no preset"
            raise _refused(told, self.folder, f"`impasto preset {name}` alone lists them.")
        row = self.rows.get(name)
        if not row:
            known = [*self.layers, *self.rows, *self.groups]
            raise _refused(f"there is no preset {name!r}", self.folder, nearest(name, known))
        if not row.layers:
            raise _refused(f"{name} has no preset: {row.remark}", self.folder, "docs/results.md lists the others.")
        for layer in row.layers:
            if layer not in self.layers:
                raise _refused(f"{name} has the layer {layer!r}, which is not there", self.folder, "Correct its rows.")
            yield _Part(name, layer)
        yield _Part(name, row=row)

    def _base_of(self, layer: str) -> Path | None:
        """The file that lies under a layer."""
        path = self.layers[layer]
        if (common := path.with_name(f"{_COMMON}.yaml")).exists():
            return common
        named = laid_out(path).get(_BASE)
        if named is not None and named not in self.layers:
            raise _refused(f"{path} has the base {named!r}, which is no preset", self.folder, "Correct it there.")
        return self.layers[named] if named else None

    def _is_based(self, part: _Part) -> bool:
        return part.row is not None or self._base(part.layer) is not None

    def _require_each_once(self, parts: Sequence[_Part]) -> None:
        seen: dict[str, str] = {}
        for part in parts:
            if part.layer in seen:
                where = f"{seen[part.layer]} and in {part.said}"
                what = f"{part.layer} stands twice" + ("" if seen[part.layer] == part.said else f", in {where}")
                raise _refused(what, self.folder, "Name it once; two rows make no preset.")
            if part.layer:
                seen[part.layer] = part.said

    def _require_one_base(self, parts: Sequence[_Part]) -> None:
        bases = {base: part.said for part in parts if part.layer and (base := self._base(part.layer))}
        if len(bases) > 1:
            what = f"{' and '.join(bases.values())} do not go together: each would undo the other from its base up"
            raise _refused(what, self.folder, "Name the one or the other.")

    def _require_kinds(self, parts: Sequence[_Part]) -> None:
        """What a base leaves open, or a layer over it decides, is decided once; overlays without base may change it."""
        based = [part for part in parts if part.layer and self._base(part.layer)]
        for leaf, kind in _KINDS.items() if based else ():
            deciding = [part for part in based if leaf in self._read(self.layers[part.layer])]
            if len(deciding) > 1:
                told = " and ".join(part.layer for part in deciding)
                raise _refused(f"{told} are two {kind}s", self.folder, f"Name one {kind}.")
            base = self._base(based[0].layer)
            assert base
            family = [name for name, path in self.layers.items() if path.parent == base.parent]
            choices = [name for name in family if leaf in self._read(self.layers[name])]
            if not deciding and choices and leaf not in self._read(base):
                remedy = f"Name one beside it: {', '.join(choices)}; or a row, which has one."
                raise _refused(f"{' '.join(dict.fromkeys(p.said for p in based))} has no {kind}", self.folder, remedy)

    def _in_order(self, parts: Sequence[_Part]) -> Iterator[_Part]:
        """Overlays without a base stay where they are; datasets, networks and the others take the remaining places."""
        based = iter(sorted(filter(self._is_based, parts), key=self._rank))
        return (next(based) if self._is_based(part) else part for part in parts)

    def _rank(self, part: _Part) -> int:
        found = self._read(self.layers[part.layer]) if part.layer else {}
        return next((rank for rank, leaf in enumerate(_KINDS) if leaf in found), len(_KINDS))

    def _changes(self, part: _Part, there: Sequence[str]) -> Iterator[tuple[dict[str, Any], dict[str, list[Any]]]]:
        """Leaves, and leaves that are swept: first the base's, then the layer's, then what it has with those there."""
        if part.row:
            yield dict(flatten(part.row.set)), part.row.sweep
            return
        base = self._base(part.layer)
        if base and not any(other and self._base(other) == base for other in there):
            yield self._read(base), {}
        yield self._read(self.layers[part.layer]), {}
        for pair in (frozenset((other, part.layer)) for other in there):
            if pair in self.pairs:
                yield self._read(self.pairs[pair]), {}


def read_overlay(path: Path) -> dict[str, Any]:
    """The leaves of an overlay, as ``train.epochs``, and their values, without those of its base.

    Raises:
        ImpastoError: the file is no YAML mapping.
    """
    return {leaf: value for leaf, value in flatten(laid_out(path)) if leaf != _BASE}


def _refused(what: str, folder: Path, remedy: str) -> ImpastoError:
    return ImpastoError(what, where=str(folder), remedy=remedy)
