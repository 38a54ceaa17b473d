"""Which epoch's model a stage ends with, chosen on the validation images."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from impasto.config.base import Section


class Selection(Section):
    """The best epoch by a number of the validation images, or the last one."""

    metric: Literal["none", "loss", "accuracy", "balanced_accuracy"] = Field(
        description="of the validation images; the model with the best one goes on; none: the last epoch's"
    )
    patience: int = Field(ge=0, description="epochs without a better one after which a stage ends; 0 never")

    @model_validator(mode="after")
    def _patient_for_something(self) -> Self:
        if self.patience and self.metric == "none":
            raise ValueError(f"{self.key}.patience is {self.patience}, but {self.key}.metric is none")
        return self
