"""What acts on a whole batch on its way through the network in training: Noise2Net, mixing, noise on input or features.

The order is that of Siedel et al. (arXiv 2512.15675, section 4): Noise2Net, then Mixup or CutMix, then patched p-norm
noise. With feature noise a place is drawn for each batch: the input, where all this happens, or after the first or the
second stage, where features are mixed and get noise of their own instead. In NoisyMix (Erichson et al. 2022) the third
stage is a place too, and the normalised input one like the others.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from impasto import ranks
from impasto.augment import feature_noise, mixup, pnorm_noise
from impasto.augment.deepaugment import draw_network
from impasto.augment.feature_noise import FeatureNoise
from impasto.augment.mixup import Mixture
from impasto.config.augment import Augment
from impasto.errors import ImpastoError
from impasto.models.gathered import gathered
from impasto.models.places import input_size, places, run
from impasto.precision import autocast
from impasto.rng import generator, key

_GROUP = 8  # images that share p-norm noise
_SMALL = 32  # px, up to which the paper's limits for CIFAR apply
_DEPTHS = {"none": 1, "siedel": 3, "noisymix": 4}  # places of feature noise, the input included


class BatchAugment:
    """Logits and targets of training batches; everything drawn is keyed by (seed, purpose, epoch, batch).

    Args:
        config: what is switched on.
        model: built by :func:`impasto.models.registry.build`.
        seed: seed of the run.
        precision: auto, fp32, bf16 or fp16, of the network alone.
        views: how many views of each image a batch holds; they are mixed alike.

    Raises:
        ImpastoError: feature noise asks for places that the network has not.
    """

    def __init__(self, config: Augment, model: nn.Module, seed: int, precision: str, views: int = 1) -> None:
        self.config, self.model, self.seed, self.precision, self.views = config, model, seed, precision, views
        if len(places(model)) < _DEPTHS[config.feature_noise]:
            raise ImpastoError(
                f"the network has no features for augment.feature_noise {config.feature_noise}",
                where="params.yaml: augment.feature_noise",
                remedy="Set it to none, or choose a network with stages.",
            )
        self._networks = draw_network(generator(seed, "noise2net"), config.deepaugment.size)

    def parts(
        self, images: Tensor, labels: Tensor, synthetic: Tensor, *place: int, count: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Run the network over this process's share of an augmented batch, part by part.

        What acts on the input acts on the whole batch, whatever ``count`` is and however many processes there are:
        where something does, they exchange their images. Of N processes, part p of process r holds the images
        r + p N, r + (p + count) N, ... of the batch, and with them its share of synthetic images. Where features are
        changed inside the network, the images of a part are mixed with those of part p of all processes, by the lambda
        and the box that the batch has in common.

        Args:
            images: float32 [V b, 3, H, W] in [0, 1], the rows :func:`impasto.ranks.share` of the batch.
            labels: int64 [B], on the device of the images.
            synthetic: bool [B] on the CPU; originals are mixed with originals, synthetic images with synthetic ones.
            place: number of the epoch and of the batch.
            count: number of parts; of a batch with fewer images there are fewer, in all processes alike.

        Yields:
            Of n images: logits [V n, K], and targets: the labels, or float32 [n, K] where images were mixed.
        """
        noise = self._feature_noise(place)
        hidden = noise is not None and (noise.depth > 0 or self.config.feature_noise == "noisymix")
        mixture = self._mixture(synthetic, place)
        own, size = ranks.share(len(labels)), (images.shape[2], images.shape[3])
        images, count = self._at_input(images, mixture, hidden, place), min(count, ranks.least(len(labels)))
        source = torch.Generator(images.device).manual_seed(key(self.seed, "feature-noise", *map(str, place)))
        for part in range(count):
            rows, among = slice(part, None, count), at_once(len(labels), part, count)
            shown = images if count == 1 else self._of_each_view(images, rows)
            with ranks.sharing(len(among), self.views):
                if noise is not None and hidden:
                    within = mixture if count == 1 else self._mixture(synthetic[among], place)
                    some = labels if count == 1 else labels[among.to(labels.device, non_blocking=True)]
                    logits, targets = self._changed(shown, some, noise, within, source)
                else:
                    with autocast(self.precision, images.device):
                        logits = self.model(shown)
                    targets = mixup.targets(labels, logits.shape[1], mixture, size)[own][rows]
            yield logits, targets

    def _at_input(self, images: Tensor, mixture: Mixture, hidden: bool, place: tuple[int, ...]) -> Tensor:
        """This process's images, after what acts on the input has acted on the batch."""
        n, mixed = len(mixture.partner), mixture.method != mixup.Method.NONE
        if hidden or not (self.config.deepaugment.share > 0 or mixed or self.config.noise):
            return images
        images = self._distorted(ranks.whole(images, n), place)
        images = self._with_noise(mixup.apply(images, self._spread(mixture)), place)
        return images if ranks.count() == 1 else self._of_each_view(images, ranks.share(n))

    def _changed(
        self, images: Tensor, labels: Tensor, noise: FeatureNoise, mixture: Mixture, source: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Logits and targets of this process's images [V b, ...] of the n that have these labels, changed inside."""
        n, size = len(labels), (0, 0)

        def change(features: Tensor) -> Tensor:
            nonlocal size
            size = (features.shape[2], features.shape[3])
            return self._noisy(self._mixed(features, mixture), noise, source, n)

        with autocast(self.precision, images.device):
            logits = run(self.model, images, places(self.model)[noise.depth], change)
        return logits, mixup.targets(labels, logits.shape[1], mixture, size)[ranks.share(n)]

    def _mixed(self, features: Tensor, mixture: Mixture) -> Tensor:
        """This process's features, mixed with those of the batch, whichever process holds them."""
        spread, n = self._spread(mixture), len(mixture.partner)
        if mixture.method == mixup.Method.NONE or not ranks.together():
            return mixup.apply(features, spread)
        return mixup.apply(features, spread._replace(partner=ranks.own(spread.partner)), gathered(features, n))

    def _of_each_view(self, images: Tensor, rows: slice) -> Tensor:
        """Some images of a batch [V B, 3, H, W] in all their views."""
        some: Tensor = images.unflatten(0, (self.views, -1))[:, rows].flatten(0, 1)
        return some.contiguous(memory_format=torch.channels_last)

    def _mixture(self, synthetic: Tensor, place: tuple[int, ...]) -> Mixture:
        source = generator(self.seed, "mixup", *place)
        return mixup.draw(synthetic, mixup=self.config.mixup, cutmix=self.config.cutmix, generator=source)

    def _spread(self, mixture: Mixture) -> Mixture:
        """The mixture of one view for all of them."""
        starts = torch.arange(self.views).repeat_interleave(len(mixture.partner)) * len(mixture.partner)
        return mixture._replace(partner=mixture.partner.repeat(self.views) + starts)

    def _feature_noise(self, place: tuple[int, ...]) -> FeatureNoise | None:
        kind = self.config.feature_noise
        if kind == "none":
            return None
        source = generator(self.seed, "feature-noise", *place)
        return feature_noise.draw(depths=_DEPTHS[kind], varied=kind == "siedel", generator=source)

    def _noisy(self, features: Tensor, noise: FeatureNoise, source: torch.Generator, n: int) -> Tensor:
        """Features with noise drawn for a batch of n; the additive part of view v is v + 1 times as strong."""
        parts = [
            feature_noise.apply(part, noise._replace(additive=noise.additive * view), source, n, ranks.share(n))
            for view, part in enumerate(features.chunk(self.views), start=1)
        ]
        return torch.cat(parts)

    def _distorted(self, images: Tensor, place: tuple[int, ...]) -> Tensor:
        """By Noise2Net, which works on what the network sees after its normalisation."""
        share, normalise = self.config.deepaugment.share, self.model.get_submodule("normalise")
        if not share:
            return images
        draws = self._networks.draw(len(images), generator(self.seed, "noise2net", *place), share=share)
        return self._networks.apply(images, draws, normalise.get_buffer("mean"), normalise.get_buffer("std"))

    def _with_noise(self, images: Tensor, place: tuple[int, ...]) -> Tensor:
        if not self.config.noise:
            return images
        size, seen = (images.shape[2], images.shape[3]), input_size(self.model, images)
        limits = pnorm_noise.SMALL if min(seen) <= _SMALL else pnorm_noise.LARGE
        limits = limits if seen == size else pnorm_noise.spread(limits, size, seen)
        source = generator(self.seed, "pnorm-noise", *place)
        draws = pnorm_noise.draw(len(images), size, limits=limits, group=_GROUP, generator=source)
        return pnorm_noise.apply(images, draws, pnorm_noise.sources(images.device, self.seed, *place))


def at_once(n: int, part: int, count: int) -> Tensor:
    """The images int64 [m] of a batch of n that all processes compute as their part of so many.

    Each process holds of them what :func:`impasto.ranks.share` says of a batch of m; ``count`` is at most ``least(n)``.
    """
    rows = torch.arange(n)
    return rows[rows // (ranks.count() if n >= ranks.count() else 1) % count == part]
