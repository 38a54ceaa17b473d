"""Section ``train``: optimisation of the classifier."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from impasto.config.base import Section
from impasto.config.selection import Selection

BatchNorm = Literal["frozen", "train", "all"]


class Averaging(Section):
    """Weight averaging at the end of training (Izmailov et al. 2018)."""

    key: ClassVar[str] = "train.averaging"
    start: float = Field(gt=0, le=1, description="fraction of the epochs after which weights are averaged; 1 is off")
    learning_rate: float = Field(gt=0, description="constant learning rate while averaging")
    anneal: int = Field(ge=1, description="epochs over which the learning rate moves there, linearly")


class Chosen(Selection):
    """The best epoch of training."""

    key: ClassVar[str] = "train.selection"


class Train(Section):
    """SGD, Adam or AdamW, cosine restarts, clipping and weight averaging (Siedel et al., Table 8)."""

    key: ClassVar[str] = "train"
    epochs: int = Field(ge=1, description="passes of the length of the training split")
    batch: int = Field(ge=2, description="images per step of the optimiser")
    accumulate: int = Field(
        ge=1,
        description="parts of a batch that pass the network one after the other, to save memory; batch norm sees parts",
    )
    optimizer: Literal["sgd", "adam", "adamw"] = Field(
        description="sgd: with Nesterov momentum; adam; adamw: with decoupled weight decay"
    )
    learning_rate: float = Field(gt=0, description="learning rate at the start of each cosine cycle")
    momentum: float = Field(
        ge=0, lt=1, description="sgd: Nesterov momentum; adam, adamw: beta 1, beside a beta 2 of 0.999"
    )
    weight_decay: float = Field(ge=0, description="on all parameters; sgd, adam: L2 penalty, adamw: decoupled")
    open: int | None = Field(
        ge=1, description="number of blocks that learn, counted from the head; the others stay as they are; null: all"
    )
    batch_norm: BatchNorm = Field(
        description="whether running statistics move on: frozen nowhere, train in blocks that learn, all in every block"
    )
    loss: Literal["cross_entropy", "focal"] = Field(description="of training; validation shows the cross-entropy")
    gamma: float | None = Field(
        ge=0, description="focal: exponent of 1 - p, by which what is answered well counts less; else null"
    )
    alpha: float | list[float] | None = Field(
        description="focal: factor of the loss, or a list of one for each class, in their order; else null"
    )
    class_balance: float = Field(
        ge=0, lt=1, description="beta of the effective number of images by which rare classes count more; 0 is off"
    )
    label_smoothing: float = Field(ge=0, lt=1, description="share of the target spread over all classes")
    consistency: float = Field(
        ge=0, description="weight of the Jensen-Shannon divergence of three views of each image; 0 shows one view"
    )
    clip: float = Field(gt=0, description="largest norm of the gradient")
    period: int = Field(ge=1, description="epochs of the first cosine cycle")
    period_factor: int = Field(ge=1, description="each cosine cycle is so many times longer than the one before")
    steps: list[Annotated[int, Field(ge=1)]] | None = Field(
        description="epochs at which the learning rate falls to a tenth, in place of the cosine cycles; null"
    )
    averaging: Averaging
    selection: Chosen
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        description="arithmetic of the network; auto: fp16 on CUDA, bf16 on a CPU that has it, else fp32"
    )
    compile: bool = Field(description="torch.compile the network: a C++ compiler, and minutes, before the first step")

    @model_validator(mode="after")
    def _whole_parts(self) -> Self:
        if self.batch % self.accumulate:
            raise ValueError(
                f"train.batch is {self.batch}, which train.accumulate {self.accumulate} does not divide: "
                "batch is what the optimiser sees, and is computed in so many equal parts"
            )
        return self

    @field_validator("alpha", mode="plain")
    @classmethod
    def _factors(cls, alpha: Any) -> Any:
        """Of a union pydantic would tell the fault of each branch."""
        numbers = alpha if isinstance(alpha, list) else [1 if alpha is None else alpha]
        if not numbers or not all(type(n) in (int, float) and 0 < n < math.inf for n in numbers):
            raise PydanticCustomError("factors", "it must be a number above 0, or a list of one for each class")
        return alpha

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if told := next(self._contradictions(), None):
            raise ValueError(told)
        return self

    def _contradictions(self) -> Iterator[str]:
        for leaf in ("gamma", "alpha"):
            value = getattr(self, leaf)
            if (value is None) == (self.loss == "focal"):
                yield f"train.loss is {self.loss}: train.{leaf} must {'not ' * (value is None)}be null"
        if isinstance(self.alpha, list) and self.class_balance:
            yield "train.alpha has a factor for each class, and so has train.class_balance: set one of them off"
        if self.averaging.start < 1:
            stands = {
                "open": self.open is not None, "batch_norm": self.batch_norm != "train",
                "selection.metric": self.selection.metric != "none",
            }  # fmt: skip
            for leaf in [leaf for leaf, differs in stands.items() if differs]:
                yield f"train.{leaf} is set, but averaging opens and renews everything: set train.averaging.start to 1"
