"""The 15 corruptions of -C-bar for one image in plain numpy, as their authors define them: draws, and operations.

``draw_NAME(rng, size, severity)`` returns the draws of one image, keyword arguments of ``NAME(image, severity, ...)``,
which takes and returns uint8 [H, W, 3]. Whole images at a time, and the tools that the original uses: scipy.ndimage
and skimage.draw. S is the geometric mean of the sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

Draws = dict[str, Any]
TURN = 2 * np.pi


def side_of(size: tuple[int, int]) -> float:
    return float(np.sqrt(size[0] * size[1]))


def to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


def bilinear(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values at positions, float64 [..., 3]; zero outside the image."""
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)

    def pixel(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        inside = (y >= 0) & (y < image.shape[0]) & (x >= 0) & (x < image.shape[1])
        return image[y.clip(0, image.shape[0] - 1), x.clip(0, image.shape[1] - 1)] * inside[..., None].astype(float)

    by_left, by_right = (1.0 - columns + left)[..., None], (1.0 - (left + 1) + columns)[..., None]
    upper = pixel(top, left) * by_left + pixel(top, left + 1) * by_right
    lower = pixel(top + 1, left) * by_left + pixel(top + 1, left + 1) * by_right
    return upper * (1.0 - rows + top)[..., None] + lower * (1.0 - (top + 1) + rows)[..., None]


# Noise by its spectrum


def draw_spectrum(rng: np.random.Generator, size: tuple[int, int]) -> Draws:
    height, width = size
    return {"left": rng.uniform(0, TURN, (height, width // 2)), "middle": rng.uniform(0, TURN, height // 2)}


def spectral_noise(left: np.ndarray, middle: np.ndarray, size: tuple[int, int], brownish: bool) -> np.ndarray:
    height, width = size
    side = side_of(size)
    y, x = (np.arange(height) - height / 2) * (side / height), (np.arange(width) - width / 2) * (side / width)
    radius = np.hypot(y[:, None], x)
    amplitude = 1 / (radius**2 + 1) if brownish else radius
    phases = [left, left[::-1, ::-1]]
    if width % 2:
        column = np.concatenate((middle, np.zeros(height % 2), middle[::-1]))
        phases.insert(1, column[:, None])
    phase = np.concatenate(phases, axis=1)
    spectrum = amplitude * (np.cos(phase) + 1j * np.sin(phase))
    noise = np.real(np.fft.ifft2(np.roll(spectrum, (height // 2, width // 2), axis=(0, 1))))
    return noise / np.std(noise)


def draw_blue_noise_sample(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    return draw_spectrum(rng, size)


def blue_noise_sample(image: np.ndarray, severity: float, left: np.ndarray, middle: np.ndarray) -> np.ndarray:
    noise = spectral_noise(left, middle, image.shape[:2], brownish=False)
    return image * (noise > 0.3 * severity - 2.5).astype(np.uint8)[..., None]


def draw_brownish_noise(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    return {"channels": [draw_spectrum(rng, size) for _ in range(3)]}


def brownish_noise(image: np.ndarray, severity: float, channels: list[Draws]) -> np.ndarray:
    noise = np.stack([spectral_noise(**each, size=image.shape[:2], brownish=True) for each in channels], axis=2)
    return to_bytes(image + 6.4 * severity * noise)


# Sparkles


def draw_star(rng: np.random.Generator, size: tuple[int, int], low: float, high: float) -> Draws:
    count = rng.integers(50, 200)
    return {"centre": rng.uniform(low, high, 2) * size, "normals": rng.standard_normal(count)}


def light(size: tuple[int, int], centre: np.ndarray, lengths: np.ndarray, exponent: float) -> np.ndarray:
    rows, columns = np.arange(size[0])[:, None] - centre[0], np.arange(size[1]) - centre[1]
    count = len(lengths)
    place = (np.arctan2(columns, rows) + np.pi) / TURN * count
    sector = place.astype(int)
    between = place - sector
    first, second = lengths[sector % count], lengths[(sector + 1) % count]
    length = first + between * (second - first)
    falloff = (length**2 / (rows**2 + columns**2 + 1e-4)) ** exponent
    return np.clip((1 - (between - 0.5) ** 2) * falloff, 0, 1)[..., None]


def draw_sparkles(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    return {"stars": [draw_star(rng, size, 0, 1) for _ in range(5)]}


def sparkles(image: np.ndarray, severity: float, stars: list[Draws]) -> np.ndarray:
    size = image.shape[:2]
    radius = 0.01 * severity * side_of(size)
    x = image.astype(float)
    for star in stars:
        lengths = np.maximum(1, radius * (1 + 0.25 * star["normals"]))
        x = x + light(size, star["centre"], lengths, 1) * (255 - x)
    return to_bytes(x)


def draw_inverse_sparkles(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    return draw_star(rng, size, 0.25, 0.75)


def inverse_sparkles(image: np.ndarray, severity: float, centre: np.ndarray, normals: np.ndarray) -> np.ndarray:
    lengths = 0.25 * side_of(image.shape[:2]) * (1 + 0.25 * normals)
    weight = light(image.shape[:2], centre, lengths, 0.13 * severity)
    return to_bytes(255 + weight * (image.astype(float) - 255))


# Warps


def draw_ripple(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    return {"lengths": rng.uniform(0.1, 0.3, 2) * side_of(size), "phases": rng.uniform(0, TURN, 2)}


def ripple(image: np.ndarray, severity: float, lengths: np.ndarray, phases: np.ndarray) -> np.ndarray:
    amplitude = 0.025 * severity / 10 * side_of(image.shape[:2])
    rows, columns = (
        place + amplitude * np.sin(TURN * place / length + phase)
        for place, length, phase in zip(map(np.arange, image.shape[:2]), lengths, phases, strict=True)
    )
    return to_bytes(bilinear(image, rows[:, None], columns[None, :]))


def draw_pinch_and_twirl(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    side = min(size) // (5 if min(size) >= 224 else 3)
    return {"senses": rng.choice([-1, 1], (size[0] // side, size[1] // side))}


def pinch_and_twirl(image: np.ndarray, severity: float, senses: np.ndarray) -> np.ndarray:
    side = image.shape[0] // senses.shape[0] if image.shape[0] <= image.shape[1] else image.shape[1] // senses.shape[1]
    radius = side / 2
    out = image.astype(np.float32)
    for row, column in np.ndindex(*senses.shape):
        rows, columns = row * side + np.arange(side), column * side + np.arange(side)
        down, right = np.meshgrid(rows - (rows[0] + radius), columns - (columns[0] + radius), indexing="ij")
        distance = np.sqrt(down**2 + right**2)
        still = (distance > radius) | (np.round(distance, 3) == 0)
        part = np.where(still, 1, distance / radius)
        pinch = np.sin(np.pi / 2 * part) ** -(0.04 * severity + 0.1)
        angle = senses[row, column] * severity * np.pi / 20 * (1 - part) ** 2
        down, right = down * np.where(still, 1, pinch), right * np.where(still, 1, pinch)
        sine, cosine = np.where(still, 0, np.sin(angle)), np.where(still, 1, np.cos(angle))
        source = rows[0] + radius + down * cosine - right * sine, columns[0] + radius + down * sine + right * cosine
        out[rows[0] : rows[0] + side, columns[0] : columns[0] + side] = bilinear(out, *source)
    return to_bytes(out)


# Splines


def draw_circular_motion_blur(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    return {}


def circular_motion_blur(image: np.ndarray, severity: float) -> np.ndarray:
    x = image.astype(np.float32) / 255
    steps = np.arange(21) / 10 - 1
    weights = np.exp(-2 * steps**2)
    blurred = sum(w * ndimage.rotate(x, u * 1.5 * severity, reshape=False) for u, w in zip(steps, weights, strict=True))
    return to_bytes(blurred / weights.sum() * 255)


def draw_transverse_chromatic_abberation(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    return {"order": rng.permutation(3)}


def transverse_chromatic_abberation(image: np.ndarray, severity: float, order: np.ndarray) -> np.ndarray:
    scales = np.array([1.0, 1.0 + 0.05 * severity / 2, 1.0 + 0.05 * severity])[order]
    out = image.copy()
    for channel, scale in enumerate(scales):
        zoomed = ndimage.zoom(image[..., channel], scale, prefilter=False)
        top, left = ((large - small) // 2 for large, small in zip(zoomed.shape, image.shape[:2], strict=True))
        out[..., channel] = zoomed[top : top + image.shape[0], left : left + image.shape[1]]
    return out


# Occlusions


def draw_checkerboard_cutout(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    side = side_of(size)
    cell = max(rng.uniform(0.1, 0.25) * side, 1)
    count = int(4 * max(*size, side) // cell)
    return {"angle": rng.uniform(0, TURN), "cell": cell, "chances": rng.uniform(size=(count, count))}


def checkerboard_cutout(
    image: np.ndarray, severity: float, angle: float, cell: float, chances: np.ndarray
) -> np.ndarray:
    y, x = np.arange(image.shape[0])[:, None], np.arange(image.shape[1])
    first, second = (np.cos(angle) * y + np.sin(angle) * x) / cell, (-np.sin(angle) * y + np.cos(angle) * x) / cell
    even = (first % 2).astype(int) == (second % 2).astype(int)
    cut = even & (chances < severity / 10)[first.astype(int), second.astype(int)]  # negative indices wrap
    return np.where(cut[..., None], 128, image).astype(np.uint8)


def draw_lines(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    count = max(1, int(0.1 * severity * side_of(size)))
    angle, variation = rng.uniform(0, TURN), rng.uniform(0.1, 1)
    angles = angle + TURN * variation * (rng.uniform(size=count) - 0.5)
    return {"middles": rng.uniform(size=(count, 2)) * size, "angles": angles}


def lines(image: np.ndarray, severity: float, middles: np.ndarray, angles: np.ndarray) -> np.ndarray:
    from skimage.draw import line_aa

    side, out = side_of(image.shape[:2]), image.copy()
    for (row, column), angle in zip(middles, angles, strict=True):
        down, right = np.cos(angle) * side, np.sin(angle) * side
        rows, columns, cover = line_aa(int(row - down), int(column - right), int(row + down), int(column + right))
        inside = (rows >= 0) & (columns >= 0) & (rows < image.shape[0]) & (columns < image.shape[1])
        rows, columns, cover = rows[inside], columns[inside], cover[inside, None]
        out[rows, columns] = (1.0 - cover) * out[rows, columns] + cover * 128
    return out


# Waves


def draw_single_frequency_greyscale(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    one = rng.uniform(-np.pi, np.pi)
    pair = np.array([one, rng.uniform(-abs(one), abs(one))])
    return {"frequencies": pair[rng.permutation(2)], "phase": rng.uniform(0, TURN)}


def single_frequency_greyscale(image: np.ndarray, severity: float, frequencies: np.ndarray, phase: float) -> np.ndarray:
    y, x = np.arange(image.shape[0])[:, None], np.arange(image.shape[1])
    return to_bytes(image + 19.6 * severity * np.sin(x * frequencies[0] + y * frequencies[1] + phase)[..., None])


def draw_cocentric_sine_waves(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    tenth = side_of(size) / 10
    centre = rng.uniform(size=2) * size[::-1]
    return {"centre": centre, "lobes": rng.uniform(0, 10)} | {
        name: rng.uniform(0, tenth) for name in ("amplitude", "width")
    }


def cocentric_sine_waves(
    image: np.ndarray, severity: float, centre: np.ndarray, lobes: float, amplitude: float, width: float
) -> np.ndarray:
    y, x = np.arange(image.shape[0])[:, None] - centre[1], np.arange(image.shape[1]) - centre[0]
    distance = np.sqrt(x**2 + y**2) + np.sin(np.arctan2(x, y) * lobes) * amplitude
    return to_bytes(image + 12.8 * severity * ((distance % width) / width - 0.5)[..., None])


def draw_plasma_noise(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    scale = rng.uniform(0.075, 0.2) * side_of(size)
    return {
        "time": rng.uniform(0, 6 * np.pi),
        "iterations": int(rng.integers(4, 7)),
        "sharpness": rng.uniform(0.5, 1),
        "scale": scale,
    }


def plasma_noise(
    image: np.ndarray, severity: float, time: float, iterations: int, sharpness: float, scale: float
) -> np.ndarray:
    y, x = (place / scale for place in np.meshgrid(*map(np.arange, image.shape[:2]), indexing="ij"))
    speed, delay, damping = 1.0, 1.0, 1.0
    for _ in range(iterations):
        p, q = np.cos(y * speed + time / delay) / damping, np.sin(x * speed + time / delay) / damping
        x, y = x + p - 0.3 * q, y + q + 0.3 * p
        speed, delay, damping = speed * 1.93, delay * 1.15, damping * (2.25 - sharpness)
    noise = np.stack((np.sin(x - time), np.sin((x + y + np.sin(time)) * 0.5), np.sin(y + time)), axis=2)
    intensity = 6.4 * severity
    return to_bytes((1 - intensity / 255) * image + intensity * noise)


def draw_perlin_noise(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    directions = rng.integers(-256, 256, (256, 2)) / 256
    return {"order": rng.permutation(256), "gradients": directions / np.linalg.norm(directions, axis=1, keepdims=True)}


def perlin_noise(image: np.ndarray, severity: float, order: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    y, x = (np.arange(n) / (32 * side_of(image.shape[:2]) / 224) for n in image.shape[:2])
    total = sum(np.abs(perlin_octave(f * y, f * x, order, gradients)) / f for f in (1, 2, 4, 8, 16))
    noise, alpha = np.clip(0.5 * total + 0.5, 0, 1)[..., None], 0.05 * severity
    return to_bytes((1 - alpha) * image + 255 * alpha * noise)


def perlin_gradients(rows: np.ndarray, columns: np.ndarray, order: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The gradients at points of the lattice, [..., 2]."""
    return gradients[order[(order[rows % 256] + columns) % 256]]


def perlin_octave(y: np.ndarray, x: np.ndarray, order: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    y, x = y[:, None] + 4096, x + 4096
    row, column = y.astype(int), x.astype(int)
    down, right = y - row, x - column
    by_down, by_right = down**2 * (3 - 2 * down), right**2 * (3 - 2 * right)

    def dot(i: int, j: int) -> np.ndarray:
        gradient = perlin_gradients(row - 4096 + i, column - 4096 + j, order, gradients)
        return (down - i) * gradient[..., 0] + (right - j) * gradient[..., 1]

    left = dot(0, 0) + by_down * (dot(1, 0) - dot(0, 0))
    beside = dot(0, 1) + by_down * (dot(1, 1) - dot(0, 1))
    return 1.5 * (left + by_right * (beside - left))


# Caustics


def draw_caustic_refraction(rng: np.random.Generator, size: tuple[int, int], severity: float) -> Draws:
    return {"time": rng.uniform(0.5, 2), "scale": rng.uniform(0.75, 1.25) * side_of(size)}


def caustics(size: tuple[int, int], time: float, scale: float) -> np.ndarray:
    y, x = ((place / scale) % 1 * 6.28318530718 - 250 for place in np.meshgrid(*map(np.arange, size), indexing="ij"))
    row, column, total = y, x, 1.0
    for n in range(5):
        t = time * (1.0 - 3.5 / (n + 1))
        row, column = y + np.cos(t - row) + np.sin(t + column), x + np.sin(t - column) + np.cos(t + row)
        total = total + 1 / np.sqrt((y / (np.sin(row + t) / 0.005)) ** 2 + (x / (np.cos(column + t) / 0.005)) ** 2)
    return np.clip(np.abs(1.17 - (total / 5) ** 1.4) ** 8, 0, 1)


def caustic_refraction(image: np.ndarray, severity: float, time: float, scale: float) -> np.ndarray:
    size = image.shape[:2]
    surface = np.pad(ndimage.gaussian_filter(caustics(size, time, scale), sigma=1), 1)
    down, right = surface[2:, 1:-1] - surface[:-2, 1:-1], surface[1:-1, 2:] - surface[1:-1, :-2]
    normal = np.stack((down, right, np.ones_like(down)), axis=2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    cosine = normal[..., 2]
    incidence = np.arccos(cosine)
    inner = np.arcsin(np.sin(incidence) / 4)
    axis = np.cross([0.0, 0.0, 1.0], normal)
    axis /= np.maximum(np.linalg.norm(axis, axis=2, keepdims=True), 1e-300)
    bent = np.cos(inner)[..., None] * normal + np.sin(inner)[..., None] * np.cross(normal, axis)
    bent[cosine >= 1 - 1e-3] = (0, 0, 1)
    shift = np.round(bent[..., :2] * (0.05 * severity * side_of(size)), 3)
    rows, columns = np.arange(size[0])[:, None] + shift[..., 0], np.arange(size[1]) + shift[..., 1]
    x = bilinear(image.astype(np.float32) / 255, rows, columns)
    x = x - right[..., None] * (0.2 * severity) + down[..., None] * (0.2 * severity)
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)
