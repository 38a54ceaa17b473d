"""The rows of a paper's tables and figures: the layers that make each, the paper's values, and what to compare."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from impasto.config.base import read_yaml
from impasto.errors import ImpastoError

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
    """A table or figure: its title, the names of its columns, what holds for all its rows, and these by name.

    ``measured`` is what its values are: scores of an evaluation, a row of Fréchet distances, or seconds of an epoch.
    """

    model_config = _STRICT
    title: str
    columns: list[str]
    about: str = ""
    measured: Literal["evaluate", "fid_row", "time"] = "evaluate"
    rows: dict[str, Row] = Field(min_length=1)


def read_groups(path: Path) -> Iterator[tuple[str, Group]]:
    """The tables and figures in a list of rows, by name.

    Raises:
        ImpastoError: it is not what it must be; names the place.
    """
    for name, group in laid_out(path).items():
        try:
            yield name, Group.model_validate(group)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, (name, *fault["loc"])))
            raise ImpastoError(f"{place}: {fault['msg']}", where=str(path), remedy="Correct it there.") from None


def laid_out(path: Path) -> dict[str, Any]:
    """A YAML mapping whose lists and numbers remember how they are written, as params.yaml is to have them.

    It is for reading alone: who asks again for the same text gets the same objects.
    """
    read_yaml(path)  # tells faults
    return _parse(path.read_bytes())


@lru_cache(maxsize=64)
def _parse(text: bytes) -> dict[str, Any]:
    tree: dict[str, Any] = YAML().load(text)
    return tree
