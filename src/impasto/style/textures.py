"""Families of procedural textures: each a function of (generator, side in pixels, palette) to an RGB picture.

Coordinates run over the unit square, so that a texture keeps its scale at every side. Dead leaves with
power-law sizes and power-law noise share the statistics of natural images; the others add the edges,
repetitions and directions that paintings and fabrics have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from impasto.style.palettes import Floats, pick, ramp

Texture: TypeAlias = Callable[[np.random.Generator, int, Floats], Floats]
Index: TypeAlias = int | np.ndarray
Within: TypeAlias = Callable[[Index, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def dead_leaves(rng: np.random.Generator, side: int, colours: Floats) -> Floats:
    """Opaque ellipses or rectangles, radii by a power law of exponent -3, one over another."""
    count = 160
    centres, angles = rng.random((count, 2)), rng.random(count) * np.pi
    radii = _power_law(rng, count, 0.04, 0.35)
    aspects = rng.uniform(0.45, 1.0, count)
    round_leaves, gloss = rng.random() < 0.6, rng.uniform(0.0, 0.18)

    def within(leaf: Index, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along, across = _rotated(x, y, angles[leaf])
        along, across = along / radii[leaf], across / (radii[leaf] * aspects[leaf])
        depth = along**2 + across**2 if round_leaves else np.maximum(np.abs(along), np.abs(across))
        return depth < 1, along + across

    leaf, light = _layers(side, centres, radii * np.sqrt(1 + aspects**2), within)
    picture = pick(rng, colours, count)[leaf] + gloss * light[:, None]
    return _picture(np.where(leaf[:, None] < 0, colours[0], picture), side)


def clouds(rng: np.random.Generator, side: int, colours: Floats) -> Floats:
    """Power-law noise (amplitude 1/f^a, a in [0.8, 1.8]) along the palette, or one field per channel."""
    exponent, stretch = rng.uniform(0.8, 1.8), float(np.exp(rng.uniform(-1.2, 1.2)))
    if rng.random() < 0.5:
        return ramp(colours, _unit(_noise(rng, side, exponent, stretch)))
    base, *offsets = (_noise(rng, side, exponent, stretch) for _ in range(3))
    toned = ramp(colours, _unit(base))
    tints = np.stack([offsets[0], offsets[1], -offsets[0] - offsets[1]], axis=-1)
    return _picture(toned + 0.13 * tints, side)


def marble(rng: np.random.Generator, side: int, colours: Floats) -> Floats:
    """Veins: level lines of a plane wave bent by power-law noise."""
    x, y = (axis.reshape(side, side) for axis in _grid(side))
    along, _ = _rotated(x, y, rng.random() * np.pi)
    bent = rng.uniform(2, 6) * along + rng.uniform(0.25, 0.8) * _noise(rng, side, 2.0)
    return ramp(colours, np.asarray(np.abs(np.sin(np.pi * bent)) ** rng.uniform(0.5, 1.5), np.float32))


def stripes(rng: np.random.Generator, side: int, colours: Floats) -> Floats:
    """Hard-edged bands of random widths, straight or wavy, on one direction or crossed as in a tartan."""
    x, y = (axis.reshape(side, side) for axis in _grid(side))
    along, across = _rotated(x - 0.5, y - 0.5, rng.random() * np.pi)
    wave = rng.choice([0.0, rng.uniform(0.02, 0.08)]) * np.sin(2 * np.pi * rng.uniform(1, 4) * across)
    first = _bands(rng, along + wave, colours)
    if rng.random() < 0.6:
        return first
    weave = rng.uniform(0.35, 0.65)
    return _picture(weave * first + (1 - weave) * _bands(rng, across, colours), side)


def rings(rng: np.random.Generator, side: int, colours: Floats) -> Floats:
    """Concentric bands around one to four centres, bent by noise: agate, wood, ripples."""
    x, y = _grid(side)
    centres = rng.uniform(-0.2, 1.2, (rng.integers(1, 5), 2, 1))
    distance = np.hypot(x - centres[:, 0], y - centres[:, 1]).min(0).reshape(side, side)
    phase = rng.uniform(4, 11) * (distance + rng.uniform(0.0, 0.06) * _noise(rng, side, 2.0))
    if rng.random() < 0.5:
        return _picture(pick(rng, colours, 64)[np.floor(phase).astype(int).clip(0, 63)], side)
    return ramp(colours, (0.5 + 0.5 * np.sin(2 * np.pi * phase)).astype(np.float32))


def mosaic(rng: np.random.Generator, side: int, colours: Floats) -> Floats:
    """Tiles in a turned grid: a checkerboard, bricks or a random mosaic, some split into triangles, with joints."""
    x, y = _grid(side)
    tiles = rng.integers(4, 10)
    u, v = _rotated(x - 0.5, y - 0.5, rng.choice([0.0, rng.random() * np.pi]))
    u, v = u * tiles * rng.choice([1.0, 0.5]) + 32, v * tiles + 32
    u = u + rng.choice([0.0, 0.5]) * np.floor(v)
    column, row = np.floor(u).astype(int), np.floor(v).astype(int)
    within_u, within_v = u - column, v - row
    half = (within_u > within_v).astype(int) * rng.integers(2)
    tints = pick(rng, colours, 997)
    if rng.random() < 0.3:
        picture = pick(rng, colours[[0, -1, 2, -3]], 4, 0.0)[(column + row) % 2 + 2 * half]
    else:
        picture = tints[(column * 31 + row * 57 + half * 13) % 997]
    joint = np.minimum(np.minimum(within_u, 1 - within_u), np.minimum(within_v, 1 - within_v)) < rng.uniform(0, 0.12)
    return _picture(np.where(joint[:, None], colours[rng.choice([0, -1])], picture), side)


def cells(rng: np.random.Generator, side: int, colours: Floats) -> Floats:
    """Voronoi cells under the L1 or L2 distance, as stained glass with leads, or shaded as pebbles."""
    x, y = _grid(side)
    sites = rng.random((int(rng.integers(12, 70)), 2, 1), dtype=np.float32)
    across, down = x - sites[:, 0], y - sites[:, 1]
    distance = np.sqrt(across**2 + down**2) if rng.random() < 0.7 else np.abs(across) + np.abs(down)
    cell = distance.argmin(0)
    nearest = distance.min(0)
    distance[cell, np.arange(side * side)] = np.inf
    second = distance.min(0)
    picture = pick(rng, colours, len(sites))[cell]
    spacing = 1 / np.sqrt(len(sites))
    if rng.random() < 0.5:
        lead = (second - nearest) < rng.uniform(0.05, 0.2) * spacing
        picture = np.where(lead[:, None], colours[0], picture)
    else:
        picture = picture * (1.15 - rng.uniform(0.5, 1.0) * nearest / spacing)[:, None]
    return _picture(picture, side)


def brush_strokes(rng: np.random.Generator, side: int, colours: Floats) -> Floats:
    """Strokes along a flow field over an underpainting, each with bristle marks, one over another."""
    count = 220
    under, flow = _unit(_noise(rng, side, 1.6)), _noise(rng, side, 1.8)
    centres = rng.random((count, 2))
    column, row = (centres * side).astype(int).T
    angles = rng.random() * np.pi + rng.uniform(0.2, 1.0) * flow[row, column] + rng.normal(0, 0.15, count)
    lengths = rng.uniform(0.05, 0.12) * rng.uniform(0.6, 1.5, count)
    widths = rng.uniform(0.015, 0.04) * rng.uniform(0.7, 1.4, count)

    def within(stroke: Index, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along, across = _rotated(x, y, angles[stroke])
        beyond = np.maximum(np.abs(along) - lengths[stroke], 0)
        return beyond**2 + across**2 < widths[stroke] ** 2, across / widths[stroke]

    stroke, across = _layers(side, centres, lengths + widths, within)
    bristles = rng.uniform(0.03, 0.12) * np.sin(rng.uniform(4, 9) * across + stroke)
    paint = ramp(colours, np.clip(under[row, column] + rng.normal(0, 0.18, count), 0, 1))
    picture = (paint + rng.normal(0, 0.03, (count, 3)))[stroke] + bristles[:, None]
    ground = ramp(colours, 0.6 * under.ravel())
    return _picture(np.where(stroke[:, None] < 0, ground, picture), side)


FAMILIES: tuple[Texture, ...] = (dead_leaves, clouds, marble, stripes, rings, mosaic, cells, brush_strokes)


def _picture(pixels: np.ndarray, side: int) -> Floats:
    return np.asarray(pixels, np.float32).reshape(side, side, 3)


def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres of the unit square, x and y, float32 [side * side]."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return x.ravel(), y.ravel()


def _rotated(x: np.ndarray, y: np.ndarray, angle: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a direction (radians)."""
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


def _power_law(rng: np.random.Generator, count: int, low: float, high: float) -> np.ndarray:
    """Radii with density proportional to r^-3 on [low, high], by inversion: [count]."""
    smallest = low**-2
    return np.asarray((smallest - rng.random(count) * (smallest - high**-2)) ** -0.5)


def _layers(side: int, centres: np.ndarray, reach: np.ndarray, within: Within) -> tuple[np.ndarray, np.ndarray]:
    """Lay shapes over one another, each tested only on the square around its centre that it can touch.

    Args:
        side: of the picture, pixels.
        centres: x and y of the shapes in the unit square, [N, 2].
        reach: the farthest that a shape extends from its centre, [N].
        within: (index, x, y relative to the centre) to (whether inside, a coordinate of the shape's own).

    Returns:
        Per pixel, [side * side]: the index of the shape on top, -1 for none; and its own coordinate there.
    """
    x, y = _grid(side)
    rows, columns = y.reshape(side, side), x.reshape(side, side)
    canvas = np.full((side, side), -1)
    low = np.maximum(np.floor((centres - reach[:, None]) * side), 0).astype(int)
    high = np.ceil((centres + reach[:, None]) * side).astype(int)
    for shape in range(len(centres)):
        window = slice(low[shape, 1], high[shape, 1]), slice(low[shape, 0], high[shape, 0])
        inside, _ = within(shape, columns[window] - centres[shape, 0], rows[window] - centres[shape, 1])
        canvas[window][inside] = shape
    top = canvas.ravel()
    return top, within(top, x - centres[top, 0], y - centres[top, 1])[1]


def _noise(rng: np.random.Generator, side: int, exponent: float, stretch: float = 1.0) -> Floats:
    """Gaussian noise with amplitude spectrum 1/f^exponent, mean 0, standard deviation 1: [side, side]."""
    rows, columns = np.fft.fftfreq(side)[:, None] * stretch, np.fft.rfftfreq(side)[None, :] / stretch
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * frequency**-exponent, s=(side, side))
    return np.asarray(field / field.std(), np.float32)


def _unit(field: Floats) -> Floats:
    """Map a standard normal field to [0, 1], the middle 95 % spread linearly."""
    return np.clip(0.5 + field / 4, 0, 1).astype(np.float32)


def _bands(rng: np.random.Generator, position: Floats, colours: Floats) -> Floats:
    """Cut positions in about [-1, 1] into bands of random widths and colours."""
    edges = np.cumsum(rng.uniform(0.5, 1.5, 64) * rng.uniform(0.05, 0.14)) - 1.2
    return np.asarray(pick(rng, colours, 65)[np.searchsorted(edges, position)], np.float32)
