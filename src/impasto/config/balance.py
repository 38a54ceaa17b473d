"""Section ``balance``: how often each class is drawn, and what copies make up for it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from impasto.config.base import Section
from impasto.config.either import either, is_number

Amount = Annotated[
    float | Literal["fill"], either(lambda value: value == "fill" or is_number(value), "0 or more copies, or fill")
]
"""Copies per image of a class, or as many as it lacks to the largest class."""


Kind: TypeAlias = Literal["style", "duplicate", "rules", "reconstruction"]
"""What a copy is."""


def _rare(value: Any) -> bool:
    return is_number(value) or (isinstance(value, list) and all(isinstance(name, str) for name in value))


class Multiplier(Section):
    """Copies of one class, in place of p1 or p2."""

    key: ClassVar[str] = "balance.multipliers"
    name: str = Field(alias="class", description="name of the class")
    copies: float = Field(ge=0, description="copies per image")


class Balance(Section):
    """Class weights of the sampler, and the copies of ST-SACLF (arXiv 2408.01827)."""

    key: ClassVar[str] = "balance"
    strength: float = Field(
        ge=0,
        le=1,
        description="class c is drawn in proportion to n_c^(1 - strength): 0 as frequent as it is, 1 uniform",
    )
    p1: Amount = Field(description="copies per image of a majority class, 0 and up; fill: as many as it lacks")
    p2: Amount = Field(description="copies per image of a rare class, likewise")
    rare: Annotated[float | list[str], either(_rare, "a share of 0 or more, or a list of names")] = Field(
        description="a class is rare if it has less than this share of the mean of all classes; or their names"
    )
    multipliers: list[Multiplier] = Field(description="class, copies: classes that p1 and p2 do not count for")
    copy_: Kind = Field(
        alias="copy",
        description="what a copy is: stylised; or a control: the same image, the same image with TrivialAugment on "
        "copies alone, or the image through encoder and decoder at alpha 0",
    )
    styles: Literal["any", "class"] = Field(
        description="any: every style of the bank; class: training images of the copy's own class"
    )
    replace: bool = Field(description="whether an image, or a style, may be drawn again before all others were")

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [one.name for one in self.multipliers]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"balance.multipliers has the class {twice} more than once")
        return self

    @property
    def copies(self) -> bool:
        """Whether there may be any copies."""
        return any(amount != 0 for amount in (self.p1, self.p2, *(one.copies for one in self.multipliers)))
