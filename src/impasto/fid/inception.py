"""The extractor of the FID proper: pool3 of Inception-v3 with the weights of TensorFlow, 5 December 2015.

The network is torchvision's, with the same names as the weight file that torch-fidelity publishes, but for three
differences of the TensorFlow graph that Heusel et al. (2017) used: its average pools do not count the border, the pool
of the very last block takes maxima, and there are 1008 classes.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.inception import (  # type: ignore[import-untyped]
    BasicConv2d,
    Inception3,
    InceptionA,
    InceptionAux,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)

from impasto.data.origin import Published, obtain
from impasto.data.remote import Remote
from impasto.data.weights import read_weights, shapes
from impasto.fid.resize import resize_like_tensorflow1

_NAME = "weights-inception-2015-12-05-6726825d.pth"
_FID = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0"
_PT = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"

WEIGHTS = Published(Remote(_NAME, (f"{_FID}/{_NAME}", _PT)), sha256="6726825d")
"""Apache-2.0. Both projects' names end in the first digits of the content's SHA-256, as PyTorch Hub checks them."""

_SIDE = 299
_CLASSES = 1008


class InceptionV3:
    """2048 features of uint8 images: what an FID compares.

    Args:
        device: where the network lives and the features are made.
        weights: a copy of the weight file, relative to the repository's root or absolute; None downloads it once.

    Raises:
        ImpastoError: the file cannot be had, or its tensors are not those of the network.
    """

    name = "inception_v3"
    dimension = 2048
    resize = f"bilinear as in TensorFlow 1 (no half-pixel centres, no antialiasing), to {_SIDE} x {_SIDE} px"

    def __init__(self, device: torch.device, weights: Path | None = None) -> None:
        path, origin = obtain(WEIGHTS, weights)
        which = "" if origin.published else ", not the published ones,"
        self.identity = (
            f"Inception-v3, TensorFlow 2015-12-05 weights{which} sha256:{origin.sha256[:16]}, input (x - 128) / 128, "
            "pool3 (mean over places)"
        )
        self._network = inception_v3(path).to(device).to(memory_format=torch.channels_last)
        self.device = device

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Features [B, 2048], float32, of uint8 images [B, 3, H, W] on any device."""
        pixels = (resize_like_tensorflow1(images.to(self.device).float(), _SIDE) - 128) / 128
        found: Tensor = self._network(pixels.contiguous(memory_format=torch.channels_last))
        return found.flatten(1)


def inception_v3(path: Path) -> nn.Sequential:
    """The layers up to pool3 with the weights of a file, on the CPU, in eval mode, without gradients.

    Raises:
        ImpastoError: the file is missing, or its tensors are not those of the network.
    """
    with torch.device("meta"):  # no initial weights: they would cost time and draws from the global generator
        network = _architecture()
    network.load_state_dict(read_weights(path, shapes(network)), assign=True)
    kept = (layer for name, layer in network.named_children() if name not in {"dropout", "fc"})
    return nn.Sequential(*kept).eval().requires_grad_(False)


def _architecture() -> nn.Module:
    blocks = [BasicConv2d, _A, InceptionB, _C, InceptionD, _E, InceptionAux]
    network = Inception3(_CLASSES, aux_logits=False, inception_blocks=blocks, init_weights=False)
    network.Mixed_7c = _LastE(2048)
    whole: nn.Module = network
    return whole


def _mean(features: Tensor) -> Tensor:
    """3 x 3 means that do not count what lies outside."""
    return functional.avg_pool2d(features, 3, stride=1, padding=1, count_include_pad=False)


class _A(InceptionA):  # type: ignore[misc]
    def _forward(self, x: Tensor) -> list[Tensor]:
        return [
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.branch_pool(_mean(x)),
        ]


class _C(InceptionC):  # type: ignore[misc]
    def _forward(self, x: Tensor) -> list[Tensor]:
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        return [
            self.branch1x1(x),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(double)),
            self.branch_pool(_mean(x)),
        ]


class _E(InceptionE):  # type: ignore[misc]
    def _forward(self, x: Tensor) -> list[Tensor]:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return [
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(self._pool(x)),
        ]

    def _pool(self, x: Tensor) -> Tensor:
        return _mean(x)


class _LastE(_E):
    def _pool(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(x, 3, stride=1, padding=1)
