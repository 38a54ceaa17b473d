"""Weights of torchvision's vision transformers under timm's names: the paper fine-tunes torchvision's ViT-B/16.

Both hold the same network: query, key and value are rows of one matrix in this order in both, and the
epsilon of the norms is 1e-6.
"""

from __future__ import annotations

import re

from torch import Tensor

#: Statistics with which torchvision's weights were trained (those of ImageNet).
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_NAMES = {
    r"class_token": "cls_token",
    r"encoder\.pos_embedding": "pos_embed",
    r"conv_proj\.": "patch_embed.proj.",
    r"encoder\.ln\.": "norm.",
    r"heads\.head\.": "head.",
    r"encoder\.layers\.encoder_layer_(\d+)\.ln_([12])\.": r"blocks.\1.norm\2.",
    r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_": r"blocks.\1.attn.qkv.",
    r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.": r"blocks.\1.attn.proj.",
    # The second name of each is that of newer torchvision.
    r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:linear_1|0)\.": r"blocks.\1.mlp.fc1.",
    r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:linear_2|3)\.": r"blocks.\1.mlp.fc2.",
}


def is_from_torchvision(tensors: dict[str, Tensor]) -> bool:
    """Whether a state has the names of torchvision's vision transformers."""
    return {"class_token", "conv_proj.weight", "encoder.pos_embedding"} <= tensors.keys()


def to_timm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under timm's names; an unknown name stays as it is."""
    return {_rename(name): tensor for name, tensor in tensors.items()}


def _rename(name: str) -> str:
    for theirs, ours in _NAMES.items():
        if match := re.match(theirs, name):
            return match.expand(ours) + name[match.end() :]
    return name
