"""What may be searched, and that every point of a space makes valid parameters, before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import islice, product
from math import prod
from pathlib import Path
from typing import Any

from impasto.config.all import check_tree
from impasto.config.base import is_schedule, read_yaml, tracked
from impasto.config.tune import Dimension, Search, Tune
from impasto.errors import ImpastoError

MOST = 4096  # points that are all tried before a search starts
_WHERE = "tune.searches"
_SEEDS = ("seed", "seeds")


def inputs_of(pipeline: Path, stage: str = "train") -> dict[str, str]:
    """The data that a stage of dvc.yaml reads, by the options that name it there."""
    entry = read_yaml(pipeline)["stages"][stage]
    found: list[tuple[str, str]] = re.findall(r"--([\w-]+) ([\w/.]+)", entry["cmd"])
    return {name: path for name, path in found if path in entry["deps"]}


def above(pipeline: Path, stage: str = "train") -> dict[str, str]:
    """Every stage whose outputs a stage reads, directly or not, by these outputs; in the order of the pipeline."""
    stages = read_yaml(pipeline)["stages"]
    makers = {_path(out): name for name, entry in stages.items() for out in entry.get("outs", ())}
    wanted, found = [stage], set[str]()
    while wanted:
        makes = {makers[dep] for dep in stages[wanted.pop()].get("deps", ()) if dep in makers} - found
        found |= makes
        wanted += makes
    return {path: name for path, name in makers.items() if name in found - {"check"}}


def reads(entries: Iterable[str], name: str) -> bool:
    """Whether a leaf is among entries, each of which is a leaf or a whole section."""
    return any(name == entry or name.startswith(f"{entry}.") for entry in entries)


def require_searchable(pipeline: Path, search: Search) -> None:
    """A trial trains and does nothing else: it may differ in what training alone reads.

    Raises:
        ImpastoError: names the stage that a leaf belongs to.
    """
    readers = {stage: tracked(pipeline, stage) for stage in read_yaml(pipeline)["stages"] if stage != "check"}
    before = dict.fromkeys(above(pipeline).values())
    for name in (each.parameter for each in search.space):
        reading = [stage for stage, entries in readers.items() if reads(entries, name)]
        first = next((stage for stage in reading if stage in before), None)
        if name.split(".")[0] in _SEEDS:
            raise _refused(f"{name} is a seed, and the best of several is chance", "Leave it out.")
        if name == "train.epochs":
            raise _refused(f"{name} is what all trials have in common", "Set tune.epochs, or leave it out.")
        if first:
            what = f"{name} belongs to the stage {first}, whose outputs all trials share"
            raise _refused(what, f"Search what only training reads; for this `dvc exp run --queue -S '{name}=..'`.")
        if "train" not in reading:
            what = f"{name} belongs to {', '.join(reading) or 'no stage'}, and training does not read it"
            raise _refused(what, "Search leaves that the stage train lists in dvc.yaml.")


def require_points(tree: Mapping[str, Any], search: Search, base: Mapping[str, Any]) -> None:
    """Every combination of values and ends of ranges is valid; of more than ``MOST`` each value with the base's others.

    Args:
        tree: all of params.yaml.
        search: what is searched.
        base: leaves that differ already.

    Raises:
        ImpastoError: names the first point that is refused, and why.
    """
    choices = {each.parameter: edges(each) for each in search.space}
    if prod(map(len, choices.values())) <= MOST:
        points: Iterator[dict[str, Any]] = (dict(zip(choices, one, strict=True)) for one in product(*choices.values()))
    elif search.method == "grid":
        raise _refused(f"the grid has more than {MOST} points", "List fewer values, or search by bayes.")
    else:
        points = ({name: value} for name, values in choices.items() for value in values)
    for point in points:
        require_valid(with_leaves(tree, {**base, **point}), point)


def require_valid(tree: Mapping[str, Any], point: Mapping[str, Any]) -> None:
    """Hold a trial's parameters against the schema.

    Raises:
        ImpastoError: names the point.
    """
    try:
        check_tree(tree, Path("params.yaml"))
    except ImpastoError as error:
        raise _refused(f"{told(point)} is refused: {error.what}", error.remedy) from None


def edges(dimension: Dimension) -> list[Any]:
    """The values of a leaf, or the ends of its range."""
    if dimension.values is not None:
        return dimension.values
    assert dimension.low is not None and dimension.high is not None
    return [int(end) if dimension.integer else end for end in (dimension.low, dimension.high)]


def grid(search: Search) -> list[dict[str, Any]]:
    """All points of a grid, the last leaf changing fastest."""
    values = [each.values or [] for each in search.space]
    return [dict(zip((each.parameter for each in search.space), point, strict=True)) for point in product(*values)]


def with_leaves(tree: Mapping[str, Any], leaves: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of all parameters with other values of some leaves."""
    found = deepcopy(dict(tree))
    for leaf, value in leaves.items():
        *sections, name = leaf.split(".")
        inner = found
        for section in sections:
            inner = inner[section]
        inner[name] = deepcopy(value)
    return found


def leaf(tree: Mapping[str, Any], name: str) -> Any:
    """The value of a leaf."""
    for step in name.split("."):
        tree = tree[step]
    return tree


def without_choosing(tree: Mapping[str, Any], tune: Tune, method: str) -> dict[str, Any]:
    """The parameters of a search's trials: their epochs, and in a population neither averaging nor choice of an epoch.

    Members of a population are compared while they train; `train` averages and chooses when it replays the best one.
    """
    leaves: dict[str, Any] = {"train.epochs": tune.epochs or tree["train"]["epochs"]}
    if method == "pbt":
        none = {"train.selection.metric": "none", "train.selection.patience": 0}
        leaves |= {"train.averaging.start": 1.0} | none
    return with_leaves(tree, leaves)


def told(point: Mapping[str, Any]) -> str:
    """A point in words, of four leaves at most and of six digits: ``trials.csv`` has all."""
    words = [f"{leaf} = {short(value)}" for leaf, value in islice(point.items(), 4)]
    return ", ".join(words) + (", .." if len(point) > len(words) else "")


def short(value: Any) -> str:
    """A value for the eye; a drawn number has seventeen digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def starts(tree: Mapping[str, Any], search: Search) -> dict[str, float]:
    """The shares with which a population begins: those of the parameters, moved to the nearest value of the space.

    Raises:
        ImpastoError: one of them follows a schedule.
    """
    found = {}
    for each in search.space:
        value = leaf(tree, each.parameter)
        if is_schedule(value):
            raise _refused(f"{each.parameter} is a schedule, and a population begins with a number", "Set a number.")
        found[each.parameter] = min(each.values or [], key=lambda one: abs(one - float(value)))
    return found


def require_one_population(searches: Sequence[Search]) -> None:
    """No share is found by two populations: the first makes a schedule of it, and the second begins with a number.

    Raises:
        ImpastoError: names the share.
    """
    seen = dict[str, int]()
    for index, search in enumerate(searches):
        for name in (each.parameter for each in search.space if search.method == "pbt"):
            if name in seen:
                what = f"{name} is in the populations of searches {seen[name] + 1} and {index + 1}"
                raise _refused(f"{what}: the first makes a schedule of it", "Leave it out of one of them.")
            seen[name] = index


def _path(out: Any) -> str:
    return next(iter(out)) if isinstance(out, dict) else str(out)


def _refused(what: str, remedy: str) -> ImpastoError:
    return ImpastoError(what, where=_WHERE, remedy=remedy)
