"""Write a preset into params.yaml, keeping its comments, and print the difference."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.config.all import check
from impasto.config.base import flatten, nearest, read_yaml
from impasto.config.overlay import overlay as overlaid
from impasto.errors import ImpastoError
from impasto.io import write_text
from impasto.stages.command import PARAMS, Params, command

FOLDER = Path("presets")


@command
def preset(
    name: Annotated[str, typer.Argument(help="A file of presets/, without its ending; none lists them.")] = "",
    params: Params = PARAMS,
    options: Annotated[bool, typer.Option(help="Print it as -S options for `dvc exp run` and change nothing.")] = False,
) -> None:
    """Overlay a preset: it holds only the leaves that differ."""
    presets = {path.stem: path for path in sorted(params.with_name(FOLDER.name).glob("*.yaml"))}
    read_yaml(params)  # tells where to stand if it is not there
    if not name:
        print("\n".join(f"{stem:24} {_title(path)}" for stem, path in presets.items()))
    elif name not in presets:
        raise ImpastoError(f"there is no preset {name!r}", where=str(FOLDER), remedy=nearest(name, list(presets)))
    elif options:
        print(" ".join(f"-S '{override}'" for override in overrides(presets[name])))
    else:
        print(apply(presets[name], params), end="")


def apply(overlay: Path, params: Path) -> str:
    """Write an overlay into a parameter file, if the result is valid; returns the unified difference.

    Raises:
        ImpastoError: the overlay has a key that the file lacks, or the result is invalid; nothing is written then.
    """
    before = params.read_text(encoding="utf-8")
    read_yaml(overlay)  # tells faults
    try:
        after = overlaid(before, overlay.read_text(encoding="utf-8"))
    except KeyError as error:
        told = f"unknown key {error.args[0]!r}"
        raise ImpastoError(told, where=str(overlay), remedy="Use the keys of params.yaml.") from None
    trial = params.with_name(f".{params.name}")
    write_text(trial, after)
    try:
        check(trial)
    except ImpastoError as error:
        raise ImpastoError(error.what, where=f"{overlay} over {params}", remedy=error.remedy) from None
    finally:
        trial.unlink()
    write_text(params, after)
    return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "before", "after", n=0))


def overrides(overlay: Path) -> list[str]:
    """An overlay as ``NAME=VALUE`` for the option -S of `dvc exp run`."""
    return [f"{leaf}={_plain(value)}" for leaf, value in flatten(read_yaml(overlay))]


def _title(path: Path) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


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
