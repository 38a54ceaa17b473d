"""The ten corruptions of -C-bar for CIFAR as their authors' generator works: one image, one pixel after the other.

They stand in for the generator of Mintun et al. (NeurIPS 2021; facebookresearch/augmentation-corruption, folder
imagenet_c_bar, MIT), which needs a numpy older than 1.24. The code is our own, from the formulas; what it follows is
the structure, and with it the cost:

- every pixel by a call in a loop in Python: sparkles (five times over), inverse sparkles, ripple, pinch and twirl
  (cell by cell), checkerboard cutout, and the amplitudes of the two noises (anew for each channel), whose Fourier
  transform takes the whole array;
- the pixels of a line by a loop in Python, the blend of all of them in one call: lines;
- whole arrays by scipy.ndimage: circular motion blur (21 rotations) and transverse chromatic aberration.

``NAME(image, severity, **draws)`` takes and returns uint8 [S, S, 3], S even; the draws are those of
``tests/corruptions/cbar_reference.py``, and so is the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fftpack import ifft2
from scipy.ndimage import rotate, zoom
from skimage.draw import line_aa

Image = NDArray[np.uint8]
Plane = NDArray[np.float64]
Place = NDArray[np.int64]
Spectrum = Mapping[str, Plane]
"""``left``: the phases of the left half [S, S / 2]. A middle column, which an odd side has, is ignored."""
_TURN = 2 * np.pi
_GREY, _WHITE = np.array([128, 128, 128]), np.array([255, 255, 255])


def blue_noise_sample(image: Image, severity: float, left: Plane, middle: Plane) -> Image:
    """Pixels where noise, whose amplitude grows with frequency, is low, made black."""
    kept = _noise(left, lambda radius: radius) > 0.3 * severity - 2.5
    return _bytes(image * kept[..., None])


def brownish_noise(image: Image, severity: float, channels: list[Spectrum]) -> Image:
    """Noise whose amplitude falls with the square of frequency, for each channel by itself."""
    noise = [_noise(each["left"], lambda radius: 1 / (radius**2 + 1)) for each in channels]
    return _bytes(image + 6.4 * severity * np.stack(noise, axis=2))


def checkerboard_cutout(image: Image, severity: float, angle: float, cell: float, chances: Plane) -> Image:
    """Some of the black cells of a turned chessboard, in grey."""
    cut = chances < severity / 10

    def pixel(row: int, column: int) -> Any:
        first = (np.cos(angle) * row + np.sin(angle) * column) / cell
        second = (-np.sin(angle) * row + np.cos(angle) * column) / cell
        return (
            _GREY.copy() if int(first % 2) == int(second % 2) and cut[int(first), int(second)] else image[row, column]
        )

    return _bytes(_each(len(image), pixel))


def inverse_sparkles(image: Image, severity: float, centre: Plane, normals: Plane) -> Image:
    """A star of light that keeps the image, and white around it."""
    radius = 0.25 * len(image)
    lengths = [radius * (1 + 0.25 * normal) for normal in normals.tolist()]

    def pixel(row: int, column: int) -> Plane:
        light = _light(np.array([row, column]), centre, lengths, 0.13 * severity)
        return _WHITE + light * (image[row, column].astype(np.float64) - _WHITE)

    return _bytes(_each(len(image), pixel))


def sparkles(image: Image, severity: float, stars: list[Mapping[str, Plane]]) -> Image:
    """Five white stars, one upon the other."""
    x, radius = image, 0.01 * severity * len(image)
    for star in stars:
        x = _lit(x, star["centre"], [max(1, radius * (1 + 0.25 * normal)) for normal in star["normals"].tolist()])
    return _bytes(x)


def ripple(image: Image, severity: float, lengths: Plane, phases: Plane) -> Image:
    """Rows and columns displaced by a sine wave each."""
    amplitude = 0.025 * severity / 10 * len(image)

    def pixel(row: int, column: int) -> Plane:
        place = np.array([row, column])
        return _bilinear(image, place + amplitude * np.sin(_TURN * place / lengths + phases))

    return _bytes(_each(len(image), pixel))


def pinch_and_twirl(image: Image, severity: float, senses: NDArray[np.int64]) -> Image:
    """Whirls side by side; every one reads what those before it have written."""
    side, x = len(image) // len(senses), image.astype(np.float32)
    for cell in np.ndindex(*senses.shape):
        top, left = (side * each for each in cell)
        whirl = _whirl(x, top, left, side, senses[cell] * severity * np.pi / 20, 0.04 * severity + 0.1)
        x[top : top + side, left : left + side] = whirl
    return _bytes(x)


def circular_motion_blur(image: Image, severity: float) -> Image:
    """The weighted mean of the image in 21 rotations."""
    x, steps = image.astype(np.float32) / 255, [tenth / 10 - 1 for tenth in range(21)]
    weights = [np.exp(-2 * step**2) for step in steps]
    total = np.zeros(image.shape)
    for turned, weight in zip(
        [rotate(x, step * 1.5 * severity, reshape=False) for step in steps], weights, strict=True
    ):
        total += weight * turned
    return _bytes(total / sum(weights) * 255)


def lines(image: Image, severity: float, middles: Plane, angles: Plane) -> Image:
    """Grey anti-aliased lines, one upon the other."""
    side, out = len(image), image.copy()
    for (row, column), angle in zip(middles, angles, strict=True):
        down, right = np.cos(angle) * side, np.sin(angle) * side
        line = zip(*line_aa(int(row - down), int(column - right), int(row + down), int(column + right)), strict=True)
        inside = [(y, x, cover) for y, x, cover in line if y >= 0 and x >= 0 and y < side and x < side]
        rows, columns, covers = (np.array([point[part] for point in inside]) for part in range(3))
        where, cover = (rows.astype(int), columns.astype(int)), covers.reshape(-1, 1)
        out[where] = (1.0 - cover) * out[where].astype(np.float64) + cover * 128
    return out


def transverse_chromatic_abberation(image: Image, severity: float, order: NDArray[np.int64]) -> Image:
    """Each channel magnified by another factor."""
    side, out = len(image), image.copy()
    for channel, step in enumerate(order):
        large = zoom(image[..., channel], 1.0 + 0.05 * severity * step / 2, prefilter=False)
        edge = (len(large) - side) // 2
        out[..., channel] = large[edge : edge + side, edge : edge + side]
    return out


FUNCTIONS: dict[str, Callable[..., Image]] = {
    each.__name__: each
    for each in (
        blue_noise_sample, brownish_noise, checkerboard_cutout, inverse_sparkles, sparkles, pinch_and_twirl, ripple,
        circular_motion_blur, lines, transverse_chromatic_abberation,
    )
}  # fmt: skip


def _bytes(values: NDArray[Any]) -> Image:
    return np.clip(values, 0, 255).astype(np.uint8)


def _each(side: int, pixel: Callable[[int, int], Any]) -> NDArray[Any]:
    """What ``pixel(row, column)`` gives at every place, [side, side, ...]."""
    return np.array([[pixel(row, column) for column in range(side)] for row in range(side)])


def _noise(left: Plane, amplitude: Callable[[float], float]) -> Plane:
    """Noise [S, S] of unit deviation, by its amplitude as a function of frequency and the phases of its left half."""
    side = len(left)
    amplitudes = _each(side, lambda row, column: amplitude(np.linalg.norm(np.array([row, column]) - side / 2)))
    phase = np.concatenate((left, left[::-1, ::-1]), axis=1)
    spectrum = np.roll(amplitudes * (np.cos(phase) + 1j * np.sin(phase)), (side // 2, side // 2), axis=(0, 1))
    noise = np.real(ifft2(spectrum))
    return noise / np.std(noise)


def _light(place: Place, centre: Plane, lengths: list[float], exponent: float) -> float:
    """How much of a star's light falls on one pixel, in [0, 1]."""
    offset, rays = place - centre, len(lengths)
    distance = np.linalg.norm(offset)
    turn = (np.arctan2(offset[1], offset[0]) + np.pi) / _TURN * rays
    ray = int(turn)
    between = turn - ray
    length = lengths[ray % rays] + between * (lengths[(ray + 1) % rays] - lengths[ray % rays])
    falloff = (length**2 / (distance**2 + 1e-4)) ** exponent
    return np.clip((1 - (between - 0.5) ** 2) * falloff, 0, 1)


def _lit(x: NDArray[Any], centre: Plane, lengths: list[float]) -> Plane:
    """The image with one white star."""

    def pixel(row: int, column: int) -> Plane:
        value = x[row, column].astype(np.float64)
        return value + _light(np.array([row, column]), centre, lengths, 1) * (_WHITE - value)

    return _each(len(x), pixel)


def _whirl(x: NDArray[Any], top: int, left: int, side: int, angle: float, pinch: float) -> Plane:
    """One whirl, [side, side, 3]."""
    radius = side / 2
    centre = np.array([top + radius, left + radius])

    def pixel(row: int, column: int) -> Plane:
        return _bilinear(x, _whirled(np.array([top + row, left + column]), centre, radius, angle, pinch))

    return _each(side, pixel)


def _whirled(place: Place, centre: Plane, radius: float, angle: float, pinch: float) -> Plane:
    """The place that a pixel of a whirl takes its value from."""
    down, right = place[0] - centre[0], place[1] - centre[1]
    distance = np.linalg.norm(place - centre)
    if distance > radius or np.round(distance, 3) == 0:
        return place
    part = distance / radius
    scale = np.sin(np.pi / 2 * part) ** -pinch
    down, right, turn = down * scale, right * scale, angle * (1 - part) ** 2
    shift = [down * np.cos(turn) - right * np.sin(turn), down * np.sin(turn) + right * np.cos(turn)]
    return centre + np.array(shift)


def _bilinear(image: NDArray[Any], place: Plane) -> Plane:
    """The value [3] at a place between pixels, zero outside the image."""
    top, left = int(np.floor(place[0])), int(np.floor(place[1]))

    def pixel(row: int, column: int) -> NDArray[Any]:
        inside = row >= 0 and row < image.shape[0] and column >= 0 and column < image.shape[1]
        return image[row, column] if inside else np.array([0, 0, 0])

    by_left, by_right = 1.0 - place[1] + left, 1.0 - (left + 1) + place[1]
    upper = pixel(top, left) * by_left + pixel(top, left + 1) * by_right
    lower = pixel(top + 1, left) * by_left + pixel(top + 1, left + 1) * by_right
    return upper * (1.0 - place[0] + top) + lower * (1.0 - (top + 1) + place[0])
