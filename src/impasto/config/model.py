"""Section ``model``: the classifier's architecture."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from impasto.config.base import Section

#: Architecture -> how many blocks it has from input to head, which fine-tuning can open one after the other.
BLOCKS = {"wrn": 5}


class Model(Section):
    """A Wide ResNet (Zagoruyko and Komodakis 2016); WRN-28-4 has depth 28 and width 4."""

    key: ClassVar[str] = "model"
    name: Literal["wrn"] = Field(description="architecture: wrn is a Wide ResNet")
    depth: int = Field(ge=10, le=100, description="layers, 6 n + 4 for n residual blocks in each of the three stages")
    width: int = Field(ge=1, le=20, description="the stages have 16, 32 and 64 times so many channels")
    stem_stride: Literal[1, 2] = Field(
        description="2 halves the resolution in the first layer, at a quarter of the cost"
    )
    dropout: float = Field(ge=0, lt=1, description="share of activations dropped between the two layers of a block")
    activation: Literal["relu", "silu"] = Field(description="nonlinearity")

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, depth: int) -> int:
        if (depth - 4) % 6:
            raise ValueError("depth is not 6 n + 4, as 10, 16, 22, 28 and 40 are")
        return depth
