"""Section ``tune``: what `impasto tune` searches, how, and by which number. No stage of the pipeline reads it."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from impasto.config.base import Section
from impasto.config.either import is_number

Method = Literal["grid", "bayes", "pbt"]
Objective = Literal["accuracy_and_robust", "balanced_and_robust", "accuracy", "robust_accuracy", "balanced_accuracy"]
SHARES = ("lambda", "lambda_o", "lambda_s")
"""What population-based training makes schedules of."""

_PLAIN = (bool, int, float, str, type(None))


class Dimension(Section):
    """One leaf and what it may be: listed values, or a range from ``low`` to ``high``."""

    key: ClassVar[str] = "tune.searches.space"
    parameter: str = Field(min_length=1, description="dotted name of a leaf that training reads")
    values: list[Any] | None = Field(None, description="its values; a value may be a list")
    low: float | None = Field(None, description="least value of a range")
    high: float | None = Field(None, description="largest value of a range")
    log: bool = Field(False, description="draw the logarithm uniformly")
    integer: bool = Field(False, description="whole numbers only")

    @field_validator("values")
    @classmethod
    def _plain(cls, values: list[Any] | None) -> list[Any] | None:
        for value in values or ():
            inner = value if isinstance(value, list) else [value]
            if not all(isinstance(one, _PLAIN) for one in inner):
                raise PydanticCustomError("plain", "it must be numbers, texts, true, false, null or lists of them")
        if values is not None and len({repr(value) for value in values}) != len(values):
            raise ValueError("a value stands twice")
        return values

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if told := self._fault():
            raise ValueError(f"space of {self.parameter}: {told}")
        return self

    def _fault(self) -> str | None:
        if self.values is not None:
            if (self.low, self.high, self.log, self.integer) != (None, None, False, False):
                return "it has values and a range: leave out one of them"
            return None if self.values else "it has no values"
        if self.low is None or self.high is None:
            return "it has neither values nor both ends of a range, low and high"
        if self.low >= self.high:
            return f"low {self.low:g} is not below high {self.high:g}: the range is empty"
        if self.log and self.low <= 0:
            return f"low {self.low:g} has no logarithm: choose one above 0, or log: false"
        if self.integer and (self.low % 1 or self.high % 1):
            return "a range of whole numbers has whole ends"
        return None


class Halving(Section):
    """Early stopping of poor trials: asynchronous successive halving (ASHA, Li et al. 2020)."""

    key: ClassVar[str] = "tune.searches.halving"
    grace: int = Field(ge=1, description="epochs before which no trial is stopped")
    reduction: int = Field(ge=2, description="at grace, grace * reduction, ..: the best 1/reduction so far goes on")


class Search(Section):
    """One search; it begins at the best of the one before it."""

    key: ClassVar[str] = "tune.searches"
    method: Method = Field(description="grid, bayes (TPE) or pbt (population-based training)")
    space: list[Dimension] = Field(min_length=1, description="leaves and their values or ranges")
    trials: int | None = Field(None, ge=1, description="bayes: trials; pbt: members of the population; grid: null")
    halving: Halving | None = Field(None, description="grid, bayes: early stopping: {grace, reduction}; null: none")
    interval: int | None = Field(None, ge=1, description="pbt: epochs between two comparisons")
    burn_in: int = Field(0, ge=0, description="pbt: epochs before the first comparison")
    quantile: float = Field(0.25, gt=0, le=0.5, description="pbt: share of members that is replaced, by as many best")
    resample: float = Field(0.0, ge=0, le=1, description="pbt: probability to draw a share anew, not a neighbour of it")
    start: Literal["base", "random"] = Field("base", description="pbt: members begin near base or anywhere")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if told := self._fault() or (self._population() if self.method == "pbt" else None):
            raise ValueError(f"a search by {self.method}: {told}")
        return self

    def _fault(self) -> str | None:
        names = [each.parameter for each in self.space]
        if twice := [name for name in names if names.count(name) > 1]:
            return f"{twice[0]} stands twice in its space"
        if (self.method == "grid") != (self.trials is None):
            return "its values say how many trials there are: leave out trials" if self.trials else "it needs trials"
        if self.method == "grid" and (open_ := [each.parameter for each in self.space if each.values is None]):
            return f"{open_[0]} has a range, of which a grid has no points: list values"
        foreign = {"interval", "burn_in", "quantile", "resample", "start"} & self.model_fields_set
        if self.method != "pbt" and foreign:
            return f"{min(foreign)} belongs to pbt alone"
        return None

    def _population(self) -> str | None:
        """What population-based training asks for beyond the rest."""
        if self.interval is None or self.halving is not None:
            return "it needs an interval, in epochs" if self.interval is None else "it replaces poor members itself"
        if self.trials is None or self.trials < 2:
            return f"a population has two members at least, not {self.trials}"
        for each in self.space:
            if each.parameter not in SHARES:
                return f"{each.parameter} does not follow a schedule: {', '.join(SHARES)} do"
            values = each.values or []
            if len(values) < 2 or not all(is_number(v) and v <= 1 for v in values) or not _ascending(values):
                return f"{each.parameter} needs two or more values in 0 to 1, ascending, of which it takes neighbours"
        return None


def _ascending(values: list[Any]) -> bool:
    return all(low < high for low, high in pairwise(values))


class Tune(Section):
    """What `impasto tune` searches. Trials are trained on the training split and measured on the validation split."""

    key: ClassVar[str] = "tune"
    objective: Objective = Field(
        description="what is maximised, on the validation split; robust: accuracy under corruptions; balanced: mean "
        "recall of the classes; _and_: the mean of both"
    )
    corruptions: list[str] = Field(min_length=1, description="corruptions of the robust part: names, or c, c15, c-bar")
    severities: list[Annotated[int, Field(ge=1, le=5)]] = Field(min_length=1, description="their severities, 1 to 5")
    images: int = Field(ge=1, description="validation images that are corrupted for it, drawn once by the seed")
    epochs: int | None = Field(ge=1, description="epochs of a trial; null: train.epochs")
    seed: int = Field(ge=0, description="seed of what the searches draw; trials train with the first of seeds")
    searches: list[Search] = Field(
        description="searches in order, each from the best of the one before: method, space, trials, .. (docs/scale.md)"
    )

    @field_validator("corruptions", "severities")
    @classmethod
    def _distinct(cls, values: list[Any]) -> list[Any]:
        if len(set(values)) != len(values):
            raise ValueError("an entry stands twice")
        return values

    @property
    def robust(self) -> bool:
        """Whether the objective looks at corrupted images."""
        return "robust" in self.objective

    @property
    def balanced(self) -> bool:
        """Whether it looks at the recall of the classes."""
        return "balanced" in self.objective
