"""One pass for the whole Fréchet curve against one pass per point. Run: ``python benchmarks/frechet_curve.py``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from impasto.fid.curve import Stylise, draw_uniforms, grid, measure_curve
from impasto.fid.extractors import Extractor, extractor, feature_moments, features
from impasto.fid.frechet import frechet_distance
from impasto.fid.moments import Moments
from impasto.rng import generator
from impasto.style.bank import encode_styles
from impasto.style.decoder import Decoder
from impasto.style.encoders import EfficientNetLite0Encoder
from impasto.style.procedural import procedural_styles
from impasto.style.stylize import Stylizer
from timing import interleaved, show, single_thread

_BATCH = 64


def stylizer(count: int) -> Stylise:
    """AdaIN as the pipeline runs it, with an unfitted decoder, and one style and strength for each row."""
    encoder = EfficientNetLite0Encoder(upscale=64)
    bank = encode_styles(procedural_styles(32, 64, min_std=0.08, seed=0), encoder)
    painter = Stylizer(encoder, Decoder(encoder.channels, generator(0, "benchmark", "decoder")).eval(), bank)
    source = generator(0, "benchmark", "draws")
    styles, alpha = torch.randint(32, (count,), generator=source), torch.rand(count, generator=source)
    return lambda images, rows: painter(images, styles[rows], alpha[rows])


def measure(n: int = 500, points: int = 11, repeats: int = 5) -> dict[str, float | int | str]:
    """Time both ways in turn on ``n`` random 32 px images with one thread.

    Returns medians of ``repeats`` in seconds, wall clock and processor time: other work on the machine disturbs the
    second far less. By count of work the ratio is 5.5 (N stylisations and 2 N features against 5.5 N and 11 N).
    """
    network = extractor("efficientnet_lite0_112", torch.device("cpu"))
    images, real = _smooth(n, "synthetic"), _smooth(n, "real")
    with single_thread():
        stylise, u = stylizer(n), draw_uniforms(n, generator(0, "benchmark", "u"))
        arguments = (network, images, stylise, u, feature_moments(network, real), grid(points))
        ways: dict[str, Callable[[int], list[float]]] = {
            "one pass": lambda _: list(measure_curve(*arguments, batch=_BATCH).values),
            "pass per point": lambda _: _pass_per_point(*arguments),
        }
        once, each = interleaved(ways, repeats).values()
    gap = max(abs(a - b) / a for a, b in zip(once.result, each.result, strict=True))
    return {
        "n": n,
        "points": points,
        "repeats": repeats,
        "threads": 1,
        "extractor": network.name,
        "one_pass_wall_s": round(once.wall, 3),
        "pass_per_point_wall_s": round(each.wall, 3),
        "ratio_wall": round(each.wall / once.wall, 2),
        "one_pass_cpu_s": round(once.processor, 3),
        "pass_per_point_cpu_s": round(each.processor, 3),
        "ratio_cpu": round(each.processor / once.processor, 2),
        "largest_relative_difference": gap,
    }


def _pass_per_point(
    network: Extractor,
    images: Tensor,
    stylise: Stylise,
    u: Tensor,
    reference: Moments,
    points: tuple[float, ...],
) -> list[float]:
    """Assemble each point's set anew, stylising just the images it needs, and extract its features."""
    values = []
    for point in points:
        total = Moments.zero(network.dimension)
        for first in range(0, len(images), _BATCH):
            part = images[first : first + _BATCH].clone()
            chosen = u[first : first + _BATCH] < point
            part[chosen] = stylise(part[chosen], chosen.nonzero()[:, 0] + first)
            total += Moments.of(features(network, part))
        pair = total.mean(), total.covariance()
        values.append(frechet_distance(*pair, reference.mean(), reference.covariance()))
    return values


def _smooth(count: int, purpose: str) -> Tensor:
    """Random blurred colour fields, uint8 [count, 3, 32, 32]."""
    coarse = torch.rand(count, 3, 6, 6, generator=generator(0, "benchmark", purpose))
    fields = torch.nn.functional.interpolate(coarse, (32, 32), mode="bicubic").clamp(0, 1)
    return (fields * 255).to(torch.uint8)


if __name__ == "__main__":
    show(measure())
