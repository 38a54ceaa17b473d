"""Section ``model``: the classifier's architecture."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from impasto.config.base import Section

#: Architecture -> how many blocks it has from input to head, which fine-tuning can open one after the other.
#: Those of a network of timm are known once it is built.
BLOCKS = {"wrn": 5, "densenet": 6, "resnext": 5}

#: Architecture -> the parameters that it has; all others are null.
PARAMETERS = {
    "wrn": ("depth", "width", "stem_stride", "stage_stride", "dropout", "activation", "head_momentum"),
    "densenet": ("depth", "width", "stem_stride", "activation"),
    "resnext": ("depth", "width", "stage_stride", "activation"),
    "timm": ("timm", "weights"),
}

#: The parameters of the attention head, which any architecture takes; without one all of them are null.
HEAD = ("attention", "taps", "projection", "head_dropout")

#: A value of ``weights`` that is no path, and the network whose weights an installed package carries.
PACKAGE, PACKAGED = "package", "tf_efficientnet_lite0"

LEAST = 4
"""Positions that a tapped map has at least along each side: attention over fewer chooses between next to nothing."""

_OPTIONAL = ("weights", "projection")
#: Published weights that ``model.weights`` may name; they are downloaded.
WEIGHTS = ("torchvision-vit-b-16",)

_DEPTHS: dict[str, tuple[str, set[int]]] = {
    "wrn": ("6 n + 4, as 10, 16, 22, 28 and 40 are", set(range(10, 101, 6))),
    "densenet": ("121, 161, 169 or 201", {121, 161, 169, 201}),
    "resnext": ("9 n + 2, as 11, 20 and 29 are", set(range(11, 102, 9))),
}


class Model(Section):
    """A classifier: WRN-28-4, DenseNet-201-12 and ResNeXt-29-32x4d of the paper have this depth and width."""

    key: ClassVar[str] = "model"
    name: Literal["wrn", "densenet", "resnext", "timm"] = Field(
        description="architecture: Wide ResNet, DenseNet, ResNeXt, or timm for any network of that package"
    )
    depth: int | None = Field(
        ge=10, le=201, description="layers: wrn 6 n + 4, resnext 9 n + 2, densenet 121, 161, 169 or 201; timm null"
    )
    width: int | None = Field(
        ge=1,
        le=64,
        description="wrn: times 16, 32 and 64 channels; densenet: growth; resnext: channels per group; timm null",
    )
    stem_stride: Literal[1, 2] | None = Field(
        description="wrn, densenet: 2 halves the resolution in the first layer, at a quarter of the cost; else null"
    )
    stage_stride: Literal[1, 2] | None = Field(
        description="wrn, resnext: 2 halves the resolution in the first stage, as the paper does at 64 px; else null"
    )
    dropout: float | None = Field(
        ge=0, lt=1, description="wrn: share of activations dropped between the two layers of a block; else null"
    )
    activation: Literal["relu", "silu"] | None = Field(description="nonlinearity; timm null")
    head_momentum: float | None = Field(
        gt=0,
        le=1,
        description="wrn: weight of the last batch in the statistics of the last batch norm; 0.9 in the paper's code; "
        "else null",
    )
    timm: str | None = Field(
        pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)?$",
        description="timm: name of the network, e.g. vit_base_patch16_224; else null",
    )
    weights: str | None = Field(
        description="timm: file of pretrained weights, safetensors or tensors of torch.save; torchvision-vit-b-16, "
        "which is downloaded; package: those of ImageNet for tf_efficientnet_lite0, which a Python package carries; "
        "null for random ones"
    )
    normalise: bool = Field(
        description="whether images are normalised before the network, timm's as its weights want it, others' by the "
        "training images; false: they stay in 0 to 1, as in ST-SACLF's code"
    )
    attention: Literal["additive_softmax", "dot", "tanh_additive", "sigmoid", "gap"] | None = Field(
        description="head on several maps of the network, and how it weighs their positions: additive_softmax as "
        "ST-SACLF, whose weights do not depend on the global feature; dot, tanh_additive, sigmoid, or gap, the plain "
        "mean; null: the network's own head"
    )
    taps: list[Annotated[int, Field(ge=1)]] | None = Field(
        min_length=1,
        description="attention: strides of the maps it sees, ascending; what lies behind the last one is left out",
    )
    projection: int | None = Field(
        ge=1, description="attention: width D of the maps' projections; null: that of the last map, as ST-SACLF"
    )
    head_dropout: float | None = Field(ge=0, lt=1, description="attention: share dropped between the two dense layers")

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, depth: int | None, info: ValidationInfo) -> int | None:
        rule, depths = _DEPTHS.get(info.data.get("name", ""), ("", {depth}))
        if depth is not None and depth not in depths:
            raise ValueError(f"depth is not {rule}")
        return depth

    @field_validator("taps")
    @classmethod
    def _ascending(cls, taps: list[int] | None) -> list[int] | None:
        if taps and any(late >= later for late, later in pairwise(taps)):
            raise ValueError("strides must ascend")
        return taps

    @model_validator(mode="after")
    def _own_parameters(self) -> Self:
        """Every fault at once: a change of ``name`` needs several others."""
        own = [leaf for leaf in type(self).model_fields if leaf not in ("name", "normalise", *HEAD)]
        if told := self._faults(own, PARAMETERS[self.name]):
            raise ValueError(f"model.name is {self.name}: {told}")
        if told := self._faults(HEAD[1:], HEAD[1:] if self.attention else ()):
            raise ValueError(f"model.attention is {self.attention or 'null'}: {told}")
        if self.weights == PACKAGE and (self.timm or "").partition(".")[0] != PACKAGED:
            raise ValueError(f"model.weights is {PACKAGE}, which are those of model.timm {PACKAGED}, not {self.timm}")
        return self

    def _faults(self, leaves: Collection[str], has: Collection[str]) -> str:
        """Which of some leaves are not null though they must be, and the other way round."""
        extra = [leaf for leaf in leaves if leaf not in has and getattr(self, leaf) is not None]
        absent = [leaf for leaf in has if leaf not in _OPTIONAL and getattr(self, leaf) is None]
        told = [f"{_listed(extra)} must be null"] * bool(extra) + [f"{_listed(absent)} must not be null"] * bool(absent)
        return ", and ".join(told)

    def parameters(self) -> dict[str, Any]:
        """The values of the parameters that the architecture has, by name."""
        return {leaf: getattr(self, leaf) for leaf in PARAMETERS[self.name]}


def _listed(leaves: list[str]) -> str:
    return ", ".join(f"model.{leaf}" for leaf in leaves)
