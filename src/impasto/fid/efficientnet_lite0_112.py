"""The extractor that needs no download: 112 features of EfficientNet-Lite0.

A covariance of 112 dimensions has full rank from 113 images on; that of the network's last layer needs 1281.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from impasto.models.efficientnet_lite0 import SHA256, efficientnet_lite0, normalise

_SIZE = 64  # pixels; the paper's images have 32 or 64
_STAGES = 5  # the first five stages hold the first 11 of the 16 blocks


class EfficientNetLite0Block10:
    """Output of block 10 (of 0 to 15) at 64 px, averaged over its 4 x 4 places.

    Args:
        device: where the network lives and the features are made.
    """

    name = "efficientnet_lite0_112"
    dimension = 112
    resize = f"bilinear, antialiased, to {_SIZE} x {_SIZE} px"
    identity = (
        f"tf_efficientnet_lite0, ImageNet weights sha256:{SHA256[:16]}, input (255 x - 127) / 128, "
        "blocks 0 to 10, mean over places"
    )

    def __init__(self, device: torch.device) -> None:
        whole = deepcopy(efficientnet_lite0())
        stem = (whole.get_submodule("conv_stem"), whole.get_submodule("bn1"))
        stages = whole.get_submodule("blocks").children()
        blocks = [stage for _, stage in zip(range(_STAGES), stages, strict=False)]
        self._network = nn.Sequential(*stem, *blocks).to(device).to(memory_format=torch.channels_last)
        self.device = device

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Features [B, 112], float32, of uint8 images [B, 3, H, W] on any device."""
        pixels = images.to(self.device).float() / 255
        if pixels.shape[-2:] != (_SIZE, _SIZE):
            pixels = functional.interpolate(pixels, (_SIZE, _SIZE), mode="bilinear", antialias=True)
        places: Tensor = self._network(normalise(pixels).contiguous(memory_format=torch.channels_last))
        return places.mean((2, 3))
