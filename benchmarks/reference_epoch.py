"""What an epoch costs beyond the network's own steps, against a torchvision DataLoader pipeline.

Run: ``python benchmarks/reference_epoch.py``. The peer has the shape of the pipeline of Siedel et al. (arXiv
2512.15675): before an epoch it stylises the chosen images in batches of 50, in float32, encoding the styles anew; then
a DataLoader flips, crops and augments image by image. It is written for this benchmark, with torchvision's own parts,
and takes PIL images, for which they are fastest. Both have the same encoder, decoder, styles, images and shares.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, RandomCrop, RandomHorizontalFlip, ToTensor, TrivialAugmentWide
from torchvision.transforms.functional import to_pil_image

from epoch import _MODEL, _PARAMS, _TRAIN
from impasto.config.augment import Augment
from impasto.config.base import load
from impasto.config.mix import Mix
from impasto.data.stream import Stream
from impasto.feed import Feed
from impasto.loop import Loop
from impasto.models.registry import build
from impasto.paintings import Paintings
from impasto.precision import resolve
from impasto.rng import generator
from impasto.style.bank import encode_styles
from impasto.style.decoder import Decoder
from impasto.style.encoders import EfficientNetLite0Encoder
from impasto.style.procedural import procedural_styles
from impasto.style.stylize import Precision, Stylizer
from impasto.training import Phase
from timing import interleaved, show, single_thread

_CPU, _BATCH, _SIZE, _UPSCALE, _STYLES = torch.device("cpu"), 128, 32, 64, 100
_SHARES = {"lambda": 0.5, "lambda_o": 0.1, "lambda_s": 0.5, "alpha_o": [1.0, 1.0], "alpha_s": [0.1, 1.0]}
_MIX = Mix.model_validate(_SHARES | {"combine_o": "and", "combine_s": "or"})  # CIFAR-10, row Ours
_AUGMENT = load(_PARAMS, Augment).model_copy(update={"flip": True, "crop": 4, "trivial": True})


class Peer(Dataset[tuple[Tensor, int]]):
    """Images of one epoch, some of them stylised beforehand, that are augmented when they are asked for."""

    def __init__(self, originals: Tensor, synthetic: Tensor, styles: Tensor, network: tuple[nn.Module, nn.Module]):
        self.streams, self.styles, (self.encoder, self.decoder) = (originals, synthetic), styles, network
        moved = [RandomHorizontalFlip(), RandomCrop(_SIZE, padding=4)]
        self.plain, self.augmented = Compose([*moved, ToTensor()]), Compose([*moved, TrivialAugmentWide(), ToTensor()])

    def prepare(self, seed: int) -> int:
        """Choose the images of an epoch and stylise; the number of stylised ones."""
        torch.manual_seed(seed)
        half = len(self.streams[0]) // 2
        self.items, painted = [], 0
        for stream, share, low, both in zip(self.streams, (0.1, 0.5), (1.0, 0.1), (True, False), strict=True):
            images = stream[torch.randperm(len(stream))[:half]]
            count = int(half * share)
            done = [self.stylised(part, low) for part in images[:count].split(50)]
            pictures = [to_pil_image(image) for image in torch.cat([*done, images[count:]])]
            self.items += [(picture, both or at >= count) for at, picture in enumerate(pictures)]
            painted += count
        return painted

    @torch.no_grad()
    def stylised(self, images: Tensor, low: float) -> Tensor:
        """AdaIN as in the paper's equations, with one strength for all."""
        styles = self.styles[torch.randperm(len(self.styles))[: len(images)]]
        content, style = (self.encoder.levels(each.float() / 255)[-1] for each in (images, styles))
        (mean, std), (style_mean, style_std) = map(_statistics, (content, style))
        target = (content - mean) / std * style_std + style_mean
        alpha = low + (1 - low) * float(torch.rand(()))
        pictures = self.decoder(alpha * target + (1 - alpha) * content)
        shrunk = nn.functional.interpolate(pictures, (_SIZE, _SIZE), mode="bilinear")
        return shrunk.clamp(0, 1).mul(255).round().byte()

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        picture, trivial = self.items[at]
        return (self.augmented if trivial else self.plain)(picture), at % 10


def _statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    flat = features.flatten(2)
    return flat.mean(2)[..., None, None], (flat.var(2) + 1e-5).sqrt()[..., None, None]


def measure(n: int = 2000, full: int = 60, repeats: int = 5) -> dict[str, float | int | str]:
    """Time the peer's epoch and ours, without the network, and the network's steps alone; in turn, single thread.

    Args:
        n: images of an epoch; each stream has so many.
        full: epochs before the measurement in which the bank of refresh 0.1 fills.
        repeats: rounds; medians of processor time are returned.

    Returns:
        Seconds of processor time; the peer's over ours; how many images were stylised on average in an epoch.
    """
    with single_thread(), torch.random.fork_rng(devices=[]):
        painted: dict[str, list[int]] = {}
        seconds = interleaved(_ways(n, full, painted), repeats)
    medians = {name: each.processor for name, each in seconds.items()}
    ratios = {f"{arm}_ratio": round(medians["reference"] / medians[arm], 1) for arm in ("refresh_1", "refresh_0.1")}
    return {
        "n": n,
        "full": full,
        "repeats": repeats,
        "threads": 1,
        "network": "WRN-16-2",
        "precision": resolve("auto", _CPU),
        "unit": "seconds of processor time beyond the network",
        **{f"{name}_s": round(value, 3) for name, value in medians.items()},
        **ratios,
        **{f"{name}_painted": round(sum(each) / len(each)) for name, each in painted.items()},
    }


def _ways(n: int, full: int, painted: dict[str, list[int]]):
    encoder = EfficientNetLite0Encoder(_UPSCALE)
    decoder = Decoder(encoder.channels, generator(0, "benchmark", "decoder")).eval()
    styles = procedural_styles(_STYLES, _SIZE, 0.08, 0)
    precision: Precision = "fp32" if resolve("auto", _CPU) == "fp32" else "bf16"
    painter = Stylizer(encoder, decoder, encode_styles(styles, encoder), precision)
    images = [torch.randint(256, (n, 3, 32, 32), generator=generator(i, "benchmark")).byte() for i in range(2)]
    feeds = {f"refresh_{refresh:g}": _feed(images, painter, refresh) for refresh in (1.0, 0.1)}
    for epoch in range(full):
        feeds["refresh_0.1"].paintings.paint(feeds["refresh_0.1"].plan(epoch))
    peer = Peer(*images, styles, (encoder, decoder))

    def ours(name: str, number: int) -> None:
        _, batches = feeds[name].epoch(full + number)
        for _ in batches:
            pass
        painted.setdefault(name, []).append(feeds[name].paintings.repainted)

    def theirs(number: int) -> None:
        painted.setdefault("reference", []).append(peer.prepare(number))
        for _ in DataLoader(peer, _BATCH, shuffle=True, num_workers=0):
            pass

    ways = {name: partial(ours, name) for name in feeds}
    return ways | {"reference": theirs, "network": partial(_steps, _loop(feeds["refresh_1"]), n)}


def _feed(images: list[Tensor], painter: Stylizer, refresh: float) -> Feed:
    n = len(images[0])
    original, synthetic = (Stream(each.numpy(), np.arange(n) % 10, np.arange(n), _CPU) for each in images)
    streams = original, synthetic
    paintings = Paintings(painter, streams, refresh, _CPU)
    return Feed(streams, paintings, _STYLES, _MIX, _AUGMENT, 0.0, _BATCH, 0, _CPU)


def _loop(feed: Feed) -> Loop:
    config = _MODEL.model_copy(update={"depth": 16, "width": 2, "stem_stride": 1})
    model = build(config, 10, [0.5] * 3, [0.25] * 3, seed=0)
    loop = Loop(model, feed, [Phase(1, lambda epoch: 0.1)], _TRAIN, "benchmark")
    loop.open(loop.schedule[0][0])
    return loop


def _steps(loop: Loop, n: int, number: int) -> None:
    """The steps of an epoch on one ready-made batch."""
    source = generator(number, "benchmark", "batch")
    images = torch.rand(_BATCH, 3, _SIZE, _SIZE, generator=source).contiguous(memory_format=torch.channels_last)
    labels, synthetic = torch.arange(_BATCH) % 10, torch.zeros(_BATCH, dtype=torch.bool)
    for start in range(0, n, _BATCH):
        stop = min(_BATCH, n - start)
        loop.step(images[:stop], labels[:stop], synthetic[:stop], number, start)


if __name__ == "__main__":
    show(measure())
