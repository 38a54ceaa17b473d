"""Stylising with cached style statistics against encoding the styles anew. Run: ``python benchmarks/stylise.py``.

Both ways paint the same images with the same styles, strengths and weights, and must give the same pictures: they
differ only in where the styles' channel statistics come from.
"""

from __future__ import annotations

import json
import statistics
import time

import torch
from torch import Tensor

from impasto.rng import generator
from impasto.style.bank import encode_styles
from impasto.style.decoder import Decoder
from impasto.style.encoders import EfficientNetLite0Encoder
from impasto.style.procedural import procedural_styles
from impasto.style.stylize import Stylizer

_SIZE, _UPSCALE, _STYLES = 32, 64, 100


def measure(n: int = 256, repeats: int = 9) -> dict[str, float | int | str]:
    """Time both ways in turn, in float32, and the cached way in bfloat16; the real encoder, single thread.

    The decoder has random weights: speed does not depend on them. Re-encoding encodes one style per image, in
    chunks as large as the cached way's, as a loader without a cache does.

    Returns:
        Medians of ``repeats`` in images per second, the ratio of cached to encoding anew, and the largest difference
        between their pictures, of 255.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    encoder = EfficientNetLite0Encoder(_UPSCALE)
    decoder = Decoder(encoder.channels, generator(0, "benchmark", "decoder")).eval()
    styles = procedural_styles(_STYLES, _SIZE, 0.08, 0)
    bank = encode_styles(styles, encoder)
    cached, rounded = Stylizer(encoder, decoder, bank), Stylizer(encoder, decoder, bank, "bf16")
    source = generator(0, "benchmark", "draws")
    images = procedural_styles(n, _SIZE, 0.08, 1)
    ids, alpha = torch.randint(_STYLES, (n,), generator=source), torch.rand(n, generator=source)

    def anew() -> Tensor:
        painted = []
        for part in torch.arange(n).split(cached.chunk):
            again = Stylizer(encoder, decoder, encode_styles(styles[ids[part]], encoder))
            painted.append(again(images[part], torch.arange(len(part)), alpha[part]))
        return torch.cat(painted)

    ways = {
        "cached": lambda: cached(images, ids, alpha),
        "encoded_anew": anew,
        "cached_bf16": lambda: rounded(images, ids, alpha),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    difference = (ways["cached"]().int() - ways["encoded_anew"]().int()).abs().max()
    for _ in range(repeats):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - begun)
    torch.set_num_threads(threads)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "n": n,
        "repeats": repeats,
        "threads": 1,
        "unit": "images per second",
        **{name: round(n / seconds, 1) for name, seconds in medians.items()},
        "ratio": round(medians["encoded_anew"] / medians["cached"], 2),
        "largest_difference": int(difference),
    }


def main() -> None:
    """Print a table and one line of JSON."""
    result = measure()
    for name, value in result.items():
        print(f"{name:<20} {value:>24}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
