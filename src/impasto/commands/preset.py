"""Write a preset into params.yaml, keeping its comments, and print the difference."""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML

from impasto.config.all import check
from impasto.config.base import read_yaml
from impasto.config.overlay import overlay as overlaid
from impasto.config.presets import Composition, Presets
from impasto.config.rows import Group
from impasto.errors import ImpastoError
from impasto.io import write_text
from impasto.stages.command import PARAMS, Params, command

FOLDER = "presets"
_ALONE = "each by itself:"


@command
def preset(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Presets to lay over one another in this order, by name or as files; none lists them."),
    ] = None,
    params: Params = PARAMS,
    options: Annotated[bool, typer.Option(help="Print the `dvc exp run` line and change nothing.")] = False,
) -> None:
    """Overlay presets: they hold only the leaves that differ. The name of a table or figure lists its rows."""
    own = [Path(name) for name in names or () if name.endswith(".yaml")]
    presets = Presets(params.with_name(FOLDER), own)
    read_yaml(params)  # tells where to stand if it is not there
    if not names:
        print(_listing(presets))
    elif len(names) == 1 and names[0] not in presets.layers and names[0] in presets.groups:
        print(_rows(presets.groups[names[0]]))
    else:
        found, name = presets.compose(names), " ".join(names)
        points = list(found.points())
        for point in points[:: max(1, len(points) - 1)]:  # the first and the last, between which a sweep lies
            laid(found.leaves | point, params, name)
        print(f"{line(found)}\n" if options else _write(found, params, name), end="")


def apply(leaves: Mapping[str, Any], params: Path, name: str) -> str:
    """Write leaves into a parameter file, if the result is valid; returns the unified difference.

    Args and errors as those of :func:`laid`; after an error nothing is written.
    """
    before, after = params.read_text(encoding="utf-8"), laid(leaves, params, name)
    write_text(params, after)
    return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "before", "after", n=0))


def laid(leaves: Mapping[str, Any], params: Path, name: str) -> str:
    """The text of a parameter file with other leaves, which is valid.

    Args:
        leaves: ``train.epochs`` -> its new value.
        params: the parameter file.
        name: what to call the overlay where it is at fault.

    Raises:
        ImpastoError: the overlay has a key that the file lacks, or the result is invalid.
    """
    try:
        after = overlaid(params.read_text(encoding="utf-8"), _text(leaves))
    except KeyError as error:
        told = f"unknown key {error.args[0]!r}"
        raise ImpastoError(told, where=name, remedy="Use the keys of params.yaml.") from None
    trial = params.with_name(f".{params.name}")
    write_text(trial, after)
    try:
        check(trial)
    except ImpastoError as error:
        raise ImpastoError(error.what, where=f"{name} over {params}", remedy=error.remedy) from None
    finally:
        trial.unlink()
    return after


def overrides(leaves: Mapping[str, Any]) -> list[str]:
    """Leaves as ``NAME=VALUE`` for the option -S of `dvc exp run`."""
    return [f"{leaf}={_plain(value)}" for leaf, value in leaves.items()]


def sweeps(sweep: Mapping[str, list[Any]]) -> list[str]:
    """Leaves with all their values as ``NAME=VALUE,VALUE``, which `dvc exp run --queue` takes for a product."""
    return [f"{leaf}={','.join(map(_plain, values))}" for leaf, values in sweep.items()]


def line(found: Composition) -> str:
    """The `dvc exp run` line of a preset; a sweep is queued."""
    words = ["dvc exp run", *(["--queue"] if found.sweep else [])]
    return " ".join([*words, *(f"-S '{each}'" for each in [*overrides(found.leaves), *sweeps(found.sweep)])])


def _write(found: Composition, params: Path, name: str) -> str:
    """Write a preset, a sweep with its first point, and return the difference and how to queue the points."""
    difference = apply(found.leaves | next(found.points()), params, name)
    if not found.sweep:
        return difference
    return f"{difference}the first point of a sweep; for all: {line(Composition({}, found.sweep))}\n"


def _text(leaves: Mapping[str, Any]) -> str:
    """Leaves as a YAML mapping of sections, each value as it was written."""
    tree: dict[str, Any] = {}
    for leaf, value in leaves.items():
        *sections, last = leaf.split(".")
        inner = tree
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    stream = io.StringIO()
    YAML().dump(tree, stream)
    return stream.getvalue()


def _listing(presets: Presets) -> str:
    """Every layer with its title, by folder, and every table and figure with its number of rows."""
    parts: dict[Path, list[str]] = {}
    for name, path in presets.layers.items():
        parts.setdefault(path.parent, []).append(f"  {name:24} {presets.title(name)}".rstrip())
    blocks = [
        "\n".join([f"{folder.name}, a dataset, a network and more:" if folder != presets.folder else _ALONE, *lines])
        for folder, lines in parts.items()
    ]
    if groups := presets.groups:
        rows = [f"  {name:24} {group.title} ({len(group.rows)})" for name, group in groups.items()]
        blocks.append("\n".join(["tables and figures; `impasto preset table2` lists the rows of one:", *rows]))
    return "\n\n".join(blocks)


def _rows(group: Group) -> str:
    """Every row of a table with its layers."""
    width = max(map(len, group.rows))
    words = {name: " ".join(row.layers) or row.remark for name, row in group.rows.items()}
    swept = {name: "".join(f", {leaf} swept" for leaf in row.sweep) for name, row in group.rows.items()}
    return "\n".join([group.title, *(f"  {name:{width}} {words[name]}{swept[name]}" for name in group.rows)])


def _plain(value: Any) -> str:
    """A value as Hydra's override grammar, which `-S` uses, reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_plain(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_plain, value)) + "]"
    return str(value)
