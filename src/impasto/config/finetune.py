"""Section ``finetune``: gradual unfreezing from the trained checkpoint."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from impasto.config.base import Section


class Unfreezing(Section):
    """One stage: which blocks learn, for how long and how fast."""

    key: ClassVar[str] = "finetune.stages"
    open: int = Field(ge=1, description="number of blocks that learn, counted from the head")
    epochs: int = Field(ge=1, description="passes of the length of the training split")
    learning_rate: float = Field(gt=0, description="learning rate at the start of the stage; falls to 0 by a cosine")
    batch_norm: Literal["frozen", "train"] = Field(description="whether running statistics of open blocks move on")


class Finetune(Section):
    """A list of unfreezing stages; an empty list passes the model on."""

    key: ClassVar[str] = "finetune"
    stages: list[Unfreezing] = Field(description="unfreezing stages in order: open, epochs, learning_rate, batch_norm")
