"""The runs that claims are judged from: read and checked once, so that :mod:`impasto.claims` meets no other."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from impasto.claims import LEAST, needed
from impasto.config.base import reason
from impasto.errors import ImpastoError
from impasto.io import read_csv, read_json

RUNS = Path("metrics/claims_runs.json")
ABLATION = Path("metrics/ablation.json")
CURVE = Path("metrics/fid.csv")
DATASETS = ("digits", "cifar10-subset")
_REMEDY = "Run `make claims`, which takes hours."

Share = Annotated[float, Field(ge=0, le=1)]


class _Plain(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Arm(_Plain):
    """Clean and robust accuracy, fractions, in the order of the seeds; the ablation has their means beside them."""

    clean: list[Share] = Field(validation_alias=AliasChoices("clean_seeds", "clean"))
    C: list[Share] = Field(validation_alias=AliasChoices("C_seeds", "C"))


class Curve(_Plain):
    """The Fréchet distance at shares that rise from 0 to 1."""

    lambda_s: list[Share]
    distance: list[Annotated[float, Field(ge=0)]]

    @model_validator(mode="after")
    def _from_0_to_1(self) -> Self:
        shares = self.lambda_s
        if not shares or (shares[0], shares[-1]) != (0, 1) or not all(a < b for a, b in pairwise(shares)):
            raise ValueError("lambda_s must rise from 0 to 1")
        if len(self.distance) != len(shares):
            raise ValueError(f"it has {len(shares)} shares, but {len(self.distance)} distances")
        return self


class Runs(_Plain):
    """The runs of one dataset (see :mod:`impasto.claims`), and how they were made, as far as that is known."""

    seeds: list[int]
    arms: dict[str, Arm]
    curves: dict[str, Curve]
    synthetic: bool
    n: Annotated[int, Field(ge=1)] | None = None
    severities: list[int] | None = None
    table: str | None = None
    hardware: str | None = None
    revision: str | None = None

    @model_validator(mode="after")
    def _every_seed(self) -> Self:
        if len(self.seeds) < LEAST:
            raise ValueError(f"{len(self.seeds)} seed(s), fewer than {LEAST}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is there twice")
        for name, arm in self.arms.items():
            if {len(arm.clean), len(arm.C)} != {len(self.seeds)}:
                raise ValueError(f"arm {name} has not {len(self.seeds)} scores")
        if len({tuple(curve.lambda_s) for curve in self.curves.values()}) > 1:
            raise ValueError("the curves have not the same lambda_s")
        return self


def checked(dataset: str, runs: object, where: Path) -> dict[str, Any]:
    """The runs of a dataset as plain values, without what is not known.

    Raises:
        ImpastoError: they have not the form that :class:`Runs` describes; names the first fault.
    """
    try:
        return Runs.model_validate(runs).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, (dataset, *first["loc"])))
        told = f"{place} is missing" if first["type"] == "missing" else f"{place}: {reason(first)}"
        raise ImpastoError(told, where=str(where), remedy=_REMEDY) from None


def measured(path: Path) -> dict[str, dict[str, Any]]:
    """The runs of `make claims` by dataset.

    Raises:
        ImpastoError: the file is missing, holds no runs of a dataset that is known, or lacks arms that the claims need.
    """
    if not path.exists():
        raise ImpastoError(f"{path} does not exist", where=str(path), remedy=_REMEDY)
    found = read_json(path)
    if not isinstance(found, Mapping) or not found:
        raise ImpastoError(f"{path} holds no runs by dataset", where=str(path), remedy=_REMEDY)
    if unknown := [name for name in found if name not in DATASETS]:
        told = f"there is no dataset {unknown[0]!r}"
        raise ImpastoError(told, where=str(path), remedy=f"There are {' and '.join(DATASETS)}.")
    every = {dataset: checked(dataset, one, path) for dataset, one in found.items()}
    for dataset, one in every.items():
        if lacking := [arm for arm in needed(one["synthetic"]) if arm not in one["arms"]]:
            told = f"{dataset} lacks the arms {', '.join(lacking)}"
            raise ImpastoError(told, where=str(path), remedy=_REMEDY)
    return every


def ablation(path: Path, curve: Path) -> dict[str, Any]:
    """The arms of `make ablation` and the curve of the default run, in the form of `make claims`.

    Raises:
        ImpastoError: one of the files is missing or has another form.
    """
    for each in (path, curve):
        if not each.exists():
            raise ImpastoError(f"neither {RUNS} nor {each} exists", where=str(RUNS), remedy=_REMEDY)
    found, points = read_json(path), read_csv(curve)
    try:
        one = {name: [float(point[name]) for point in points] for name in ("lambda_s", "distance")}
    except (KeyError, TypeError, ValueError):
        raise ImpastoError(f"{curve} holds no curve", where=str(curve), remedy="Run `dvc repro fid`.") from None
    if not isinstance(found, Mapping):
        raise ImpastoError(f"{path} holds no arms", where=str(path), remedy="Run `make ablation`.")
    return checked("digits", {**found, "curves": {"0": one} if points else {}, "synthetic": True}, path)
