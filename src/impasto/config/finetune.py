"""Section ``finetune``: gradual unfreezing from the trained checkpoint."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from impasto.config.base import Section
from impasto.config.selection import Selection
from impasto.config.train import BatchNorm


class Unfreezing(Section):
    """One stage: which blocks learn, for how long and how fast."""

    key: ClassVar[str] = "finetune.stages"
    open: int = Field(ge=1, description="number of blocks that learn, counted from the head")
    epochs: int = Field(ge=1, description="passes of the length of the training split")
    learning_rate: float = Field(gt=0, description="learning rate at the start of the stage; falls to 0 by a cosine")
    batch_norm: BatchNorm = Field(
        description="whether running statistics move on: frozen nowhere, train in open blocks, all in every block"
    )


class Carried(Selection):
    """The best epoch so far, with which each unfreezing stage goes on."""

    key: ClassVar[str] = "finetune.selection"


class Finetune(Section):
    """A list of unfreezing stages; an empty list passes the model on."""

    key: ClassVar[str] = "finetune"
    stages: list[Unfreezing] = Field(description="unfreezing stages in order: open, epochs, learning_rate, batch_norm")
    copies: Literal["kept", "random", "hardest"] = Field(
        description="what balance copies. kept: the same all the time; drawn anew at the beginning of each stage, as "
        "many of each class: at random, or hardest, of those images of whose class the model at hand is least sure"
    )
    selection: Carried
