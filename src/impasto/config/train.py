"""Section ``train``: optimisation of the classifier."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from impasto.config.base import Section


class Averaging(Section):
    """Weight averaging at the end of training (Izmailov et al. 2018)."""

    key: ClassVar[str] = "train.averaging"
    start: float = Field(gt=0, le=1, description="fraction of the epochs after which weights are averaged; 1 is off")
    learning_rate: float = Field(gt=0, description="constant learning rate while averaging")
    anneal: int = Field(ge=1, description="epochs over which the learning rate moves there, linearly")


class Train(Section):
    """SGD or AdamW, cosine restarts, clipping and weight averaging (Siedel et al., Table 8)."""

    key: ClassVar[str] = "train"
    epochs: int = Field(ge=1, description="passes of the length of the training split")
    batch: int = Field(ge=2, description="images per step of the optimiser")
    accumulate: int = Field(
        ge=1,
        description="parts of a batch that pass the network one after the other, to save memory; batch norm sees parts",
    )
    optimizer: Literal["sgd", "adamw"] = Field(
        description="sgd: with Nesterov momentum; adamw: with decoupled weight decay"
    )
    learning_rate: float = Field(gt=0, description="learning rate at the start of each cosine cycle")
    momentum: float = Field(ge=0, lt=1, description="sgd: Nesterov momentum; adamw: beta 1, beside a beta 2 of 0.999")
    weight_decay: float = Field(ge=0, description="on all parameters; sgd: L2 penalty, adamw: decoupled")
    label_smoothing: float = Field(ge=0, lt=1, description="share of the target spread over all classes")
    consistency: float = Field(
        ge=0, description="weight of the Jensen-Shannon divergence of three views of each image; 0 shows one view"
    )
    clip: float = Field(gt=0, description="largest norm of the gradient")
    period: int = Field(ge=1, description="epochs of the first cosine cycle")
    period_factor: int = Field(ge=1, description="each cosine cycle is so many times longer than the one before")
    averaging: Averaging
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
