"""Stylising with cached style statistics against encoding the styles anew. Run: ``python benchmarks/stylise.py``.

Both ways paint the same images with the same styles, strengths and weights, and must give the same pictures: they
differ only in where the styles' channel statistics come from.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from impasto.rng import generator
from impasto.style.bank import encode_styles
from impasto.style.decoder import Decoder
from impasto.style.encoders import EfficientNetLite0Encoder
from impasto.style.procedural import procedural_styles
from impasto.style.stylize import Stylizer
from timing import interleaved, per_image, show, single_thread

_SIZE, _UPSCALE, _STYLES = 32, 64, 100


def measure(n: int = 256, repeats: int = 9) -> dict[str, float | int | str]:
    """Time both ways in turn, in float32, and the cached way in bfloat16; the real encoder, single thread.

    The decoder has random weights: speed does not depend on them. Re-encoding encodes one style per image, in
    chunks as large as the cached way's, as a loader without a cache does.

    Returns:
        Medians of ``repeats`` in images per second, the ratio of cached to encoding anew, and the largest difference
        between their pictures, of 255.
    """
    with single_thread():
        timed = interleaved(_ways(n), repeats)
    difference = (timed["cached"].result.int() - timed["encoded_anew"].result.int()).abs().max()
    found = per_image(timed, n, repeats, {"ratio": ("encoded_anew", "cached")}, unit="images per second")
    return found | {"largest_difference": int(difference)}


def _ways(n: int) -> dict[str, Callable[[int], Tensor]]:
    encoder = EfficientNetLite0Encoder(_UPSCALE)
    decoder = Decoder(encoder.channels, generator(0, "benchmark", "decoder")).eval()
    styles = procedural_styles(_STYLES, _SIZE, 0.08, 0)
    bank = encode_styles(styles, encoder)
    cached, rounded = Stylizer(encoder, decoder, bank), Stylizer(encoder, decoder, bank, "bf16")
    source = generator(0, "benchmark", "draws")
    images = procedural_styles(n, _SIZE, 0.08, 1)
    ids, alpha = torch.randint(_STYLES, (n,), generator=source), torch.rand(n, generator=source)

    def anew(_: int) -> Tensor:
        painted = []
        for part in torch.arange(n).split(cached.chunk):
            again = Stylizer(encoder, decoder, encode_styles(styles[ids[part]], encoder))
            painted.append(again(images[part], torch.arange(len(part)), alpha[part]))
        return torch.cat(painted)

    return {
        "cached": lambda _: cached(images, ids, alpha),
        "encoded_anew": anew,
        "cached_bf16": lambda _: rounded(images, ids, alpha),
    }


if __name__ == "__main__":
    show(measure())
