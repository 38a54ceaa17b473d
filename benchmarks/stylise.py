"""Stylising with cached style statistics against encoding the styles anew. Run: ``python benchmarks/stylise.py``.

Both ways paint the same images with the same styles, strengths and weights, and must give the same pictures up to
rounding. Encoding anew is what the paper's code does: both pictures through the encoder, and a decoder layer by layer.
What can be gained is bounded by the operations that are saved: (2 E + D) / (E + D') for E of the encoder, D of the
decoder and D' of its quicker form (:mod:`impasto.style.doubling`), as far as time goes with operations. Caching alone
would be bounded by 1.5 for VGG-19, whose decoder mirrors the encoder. The small encoder's operations are few, but slow:
it gains more than that.
"""

from __future__ import annotations

from collections.abc import Callable
from shutil import rmtree
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from impasto.checkpoint import Resume
from impasto.config.style import Decoder as Settings
from impasto.rng import generator
from impasto.style.bank import encode_styles
from impasto.style.encoders import EfficientNetLite0Encoder, Encoder
from impasto.style.fit import fit_decoder
from impasto.style.procedural import procedural_styles
from impasto.style.stylize import Stylizer
from impasto.style.vgg import Vgg19Encoder, VggDecoder, decoder_shapes, encoder_shapes
from timing import interleaved, per_image, show, single_thread

_SIZE, _UPSCALE, _STYLES = 32, 64, 100
_RATIOS = {"ratio_fp32": ("encoded_anew", "cached"), "ratio_bf16": ("encoded_anew", "cached_bf16")}
Networks = tuple[Encoder, nn.Module, nn.Module]
"""Encoder, decoder, and the decoder layer by layer."""


def measure(n: int = 256, repeats: int = 9, vgg: int = 4, side: int = 224, steps: int = 60) -> dict[str, Any]:
    """Time both ways in turn, in float32, and the cached way in bfloat16; single thread, processor time.

    First the real default encoder, with ``n`` images and a decoder fitted in ``steps``; then VGG-19 at ``side`` px, the
    paper's, with ``vgg`` images, random weights and pictures of usual contrast: speed does not depend on them.
    Re-encoding encodes one style per image, in chunks as large as the cached way's, as a loader without a cache does.

    Returns:
        Medians of ``repeats`` in images per second; the ratios of ours to encoding anew, in float32 and with
        bfloat16 over encoding anew in float32; the bound of the first one by operations; the largest difference
        between the pictures of both ways, and the mean one of bfloat16, of 255. ``vgg19`` has the same of VGG-19.
    """
    with single_thread():
        found = _compare(_small(steps), n, repeats)
        return found | {"vgg19": {f"{side} px": _compare(_vgg19(side), vgg, max(repeats // 3, 1))}}


def _compare(networks: Networks, n: int, repeats: int) -> dict[str, Any]:
    timed = interleaved(_ways(networks, n), repeats)
    exact, anew, rounded = (timed[name].result.float() for name in ("cached", "encoded_anew", "cached_bf16"))
    return per_image(timed, n, repeats, _RATIOS, unit="images per second", clock="processor") | {
        "bound": round(_bound(*networks), 2),
        "largest_difference": int((exact - anew).abs().max()),
        "bf16_mean_difference": round(float((exact - rounded).abs().mean()), 3),
    }


def _bound(encoder: Encoder, decoder: nn.Module, plain: nn.Module) -> float:
    found: list[Tensor] = []
    e = _operations(lambda: found.append(encoder.levels(torch.zeros(1, 3, _SIZE, _SIZE))[-1]))
    quick, slow = (_operations(lambda form=form: form(found[0])) for form in (decoder, plain))
    return (2 * e + slow) / (e + quick)


def _operations(call: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        call()
    return counted.get_total_flops()


def _small(steps: int) -> Networks:
    encoder, kept = EfficientNetLite0Encoder(_UPSCALE), Resume("benchmark stylise")
    settings = Settings(
        source="fitted", weights=None, iterations=steps, batch=16, learning_rate=1e-3, style_weight=10.0,
        reconstruction_weight=10.0,
    )  # fmt: skip
    images, styles = (procedural_styles(_STYLES, _SIZE, 0.08, seed) for seed in (2, 0))
    decoder = fit_decoder(encoder, images, styles, settings, 0, kept).decoder
    rmtree(kept.folder)  # nothing is to be taken up
    return encoder, decoder, decoder


def _vgg19(side: int) -> Networks:
    source = generator(0, "benchmark", "vgg19")
    tensors = []
    for shapes in (encoder_shapes(), decoder_shapes()):
        weights = {name: torch.randn(shape, generator=source) for name, shape in shapes.items()}
        tensors.append({name: x * (2 / x[0].numel()) ** 0.5 if x.ndim == 4 else x * 0 for name, x in weights.items()})
    encoder, decoder = Vgg19Encoder(side, tensors[0]), VggDecoder(tensors[1])
    _give_contrast(encoder, decoder, decoder.layers[-1], mean=0.5, spread=0.25)
    return encoder, decoder, decoder.layers


def _give_contrast(encoder: Encoder, decoder: nn.Module, last: nn.Module, mean: float, spread: float) -> None:
    """Scale the last convolution, so that pictures neither are flat nor leave [0, 1] too often."""
    found: list[Tensor] = []
    hook = last.register_forward_hook(lambda *call: found.append(call[2]))
    with torch.no_grad():
        decoder(encoder.levels(procedural_styles(4, _SIZE, 0.08, 2).float() / 255)[-1])
        hook.remove()
        scale = spread / found[0].std((0, 2, 3))
        last.get_parameter("weight").mul_(scale.view(-1, 1, 1, 1))
        last.get_parameter("bias").sub_(found[0].mean((0, 2, 3))).mul_(scale).add_(mean)
    decoder.eval().requires_grad_(False)


def _ways(networks: Networks, n: int) -> dict[str, Callable[[int], Tensor]]:
    encoder, decoder, plain = networks
    styles = procedural_styles(_STYLES, _SIZE, 0.08, 0)[: max(n, 8)]
    bank = encode_styles(styles, encoder)
    cached, rounded = Stylizer(encoder, decoder, bank), Stylizer(encoder, decoder, bank, "bf16")
    source = generator(0, "benchmark", "draws")
    images = procedural_styles(n, _SIZE, 0.08, 1)
    ids, alpha = torch.randint(len(styles), (n,), generator=source), torch.rand(n, generator=source)

    def anew(_: int) -> Tensor:
        painted = []
        for part in torch.arange(n).split(cached.chunk):
            again = Stylizer(encoder, plain, encode_styles(styles[ids[part]], encoder))
            painted.append(again(images[part], torch.arange(len(part)), alpha[part]))
        return torch.cat(painted)

    return {
        "cached": lambda _: cached(images, ids, alpha),
        "encoded_anew": anew,
        "cached_bf16": lambda _: rounded(images, ids, alpha),
    }


if __name__ == "__main__":
    show(measure())
