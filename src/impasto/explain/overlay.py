"""A map laid over its image: enlarged to the image, on a perceptually uniform scale from 0 to its highest value."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

COLOURS = "inferno"
OPACITY = 0.6
DARKEST, LIGHTEST = 0.1, 0.9
"""Grey of black and of white under a map: neither drowns its colours."""

_LUMINANCE = np.array([0.299, 0.587, 0.114])


def enlarged(map_: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, each position in the middle of its part of the image: float [h, w] to float32 [height, width]."""
    found = functional.interpolate(
        torch.from_numpy(map_).float()[None, None], (height, width), mode="bilinear", align_corners=False
    )
    pixels: np.ndarray = found[0, 0].numpy()
    return pixels


def overlay(pixels: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """The image in grey under the map in colour: a colour says how high the map is there, and nothing of the image.

    Args:
        pixels: uint8 [3, H, W], RGB.
        map_: float [h, w], at least 0.

    Returns:
        uint8 [H, W, 3], RGB. The colours run from 0 to the highest value of this map, as it is before it is enlarged;
        a map of nothing but 0 has the lowest colour everywhere.
    """
    grey = np.tensordot(_LUMINANCE, pixels.astype(np.float64) / 255, 1)
    high = float(map_.max())
    value = enlarged(map_, *pixels.shape[1:]) / (high if high > 0 else 1)
    return tinted(value, grey)


def tinted(value: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Values and the luminance of the ground, both [..] in [0, 1], to uint8 [.., 3]."""
    from matplotlib import colormaps

    colour = colormaps[COLOURS](np.clip(value, 0, 1))[..., :3]
    ground = (DARKEST + (LIGHTEST - DARKEST) * grey)[..., None]
    found: np.ndarray = np.rint(255 * (OPACITY * colour + (1 - OPACITY) * ground)).astype(np.uint8)
    return found
