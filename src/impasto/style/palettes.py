"""Random colour palettes that look chosen: hues by a colour-wheel scheme, lightness spread evenly, in OKLCH."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

# Hue offsets in turns: one hue, neighbours, opposites, split opposites, a triad.
_SCHEMES = ((0.0,), (0.0, 0.08, -0.08), (0.0, 0.5), (0.0, 0.42, 0.58), (0.0, 1 / 3, 2 / 3))
# Ottosson's OKLab: from OKLab to the cube roots of cone responses, and from their cubes to linear sRGB.
_TO_ROOTS = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
)
_TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def palette(rng: np.random.Generator, colours: int = 6) -> Floats:
    """Draw a palette from dark to light.

    Args:
        rng: the generator to draw from.
        colours: the number of colours K.

    Returns:
        sRGB colours, float32 [K, 3] in [0, 1], lightness rising.
    """
    scheme = np.array(_SCHEMES[rng.integers(len(_SCHEMES))])
    hue = rng.random() + rng.choice(scheme, colours) + rng.normal(0, 0.02, colours)
    dark, light = rng.uniform(0.12, 0.4), rng.uniform(0.78, 0.98)
    lightness = np.linspace(dark, light, colours) + rng.normal(0, 0.03, colours)
    chroma = rng.uniform(0.03, 0.2) * rng.uniform(0.5, 1.0, colours)
    return oklch_to_srgb(np.sort(lightness), chroma, hue)


def ramp(colours: Floats, position: Floats) -> Floats:
    """Colours at positions in [0, 1] along a palette [K, 3], linearly interpolated; adds a last axis of 3."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(position, stops, channel) for channel in colours.T], axis=-1).astype(np.float32)


def pick(rng: np.random.Generator, colours: Floats, count: int, jitter: float = 0.04) -> Floats:
    """Choose ``count`` colours of a palette with replacement, each a little off: float32 [count, 3]."""
    chosen = colours[rng.integers(len(colours), size=count)]
    shade = rng.normal(0, jitter, (count, 1)) + rng.normal(0, jitter / 3, (count, 3))
    return np.clip(chosen + shade, 0, 1).astype(np.float32)


def oklch_to_srgb(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> Floats:
    """Convert OKLCH [K] each (hue in turns) to sRGB [K, 3]; colours outside the gamut are clipped."""
    angle = 2 * np.pi * hue
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1)
    linear = np.clip((lab @ _TO_ROOTS.T) ** 3 @ _TO_LINEAR.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(encoded, np.float32)
