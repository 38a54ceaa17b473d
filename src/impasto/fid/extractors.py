"""Feature extractors of the Fréchet distance: what one is, which there are, and how to run one over a set."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from impasto import ranks
from impasto.data.images import Rows
from impasto.errors import ImpastoError
from impasto.fid.efficientnet_lite0_112 import EfficientNetLite0Block10
from impasto.fid.inception import InceptionV3
from impasto.fid.moments import Moments
from impasto.kept import Kept
from impasto.progress import track

BATCH = 32
"""Images per call of an extractor: the largest that stays in a CPU's cache, at four times the rate of 256."""

BLOCK = 1024
"""Images whose moments are made at once, between two signs of progress."""

PARTS = 4
"""Parts of a block, each of which one of several processes makes: a multiple of ``BATCH`` images."""

Images = Tensor | np.ndarray | Rows
"""uint8 images [N, 3, H, W]: a tensor, an array, or rows of an array such as an ``.npy`` file's memory map."""


class Extractor(Protocol):
    """Maps images to the vectors that the Fréchet distance compares.

    Distances are comparable between runs only if ``identity`` and ``resize`` are equal: store both with them.
    """

    @property
    def name(self) -> str:
        """The name under which it is registered."""

    @property
    def identity(self) -> str:
        """Network, weights with their digest, layer and input normalisation, in words."""

    @property
    def resize(self) -> str:
        """How images reach the network's input size, in words."""

    @property
    def dimension(self) -> int:
        """D, the length of a feature vector."""

    @property
    def device(self) -> torch.device:
        """Where the features are made."""

    def __call__(self, images: Tensor) -> Tensor:
        """Features [B, D], float32, on the extractor's device, of uint8 images [B, 3, H, W] on any device."""


EXTRACTORS: dict[str, Callable[[torch.device, Path | None], Extractor]] = {
    "efficientnet_lite0_112": lambda device, _: EfficientNetLite0Block10(device),
    "inception_v3": InceptionV3,
}
"""One row and one file per extractor; a row builds the extractor on a device, from a weight file if it needs one."""


def extractor(name: str, device: torch.device, weights: Path | None = None) -> Extractor:
    """Build a registered extractor on ``device``.

    Args:
        name: a key of :data:`EXTRACTORS`.
        device: where the features are made.
        weights: the weight file of ``inception_v3``; None downloads it once. Other extractors carry theirs.

    Raises:
        ImpastoError: there is no extractor of this name, or its weights cannot be had.
    """
    if name not in EXTRACTORS:
        raise ImpastoError(
            f"unknown extractor {name!r}", where="fid.extractor", remedy=f"Choose one of: {', '.join(EXTRACTORS)}."
        )
    return EXTRACTORS[name](device, weights)


def features(extractor: Extractor, images: Images, batch: int = BATCH) -> Tensor:
    """Features [N, D], float32, ``batch`` images at a time; the batch changes them by rounding only.

    They stay on the extractor's device, where their moments are made.
    """
    parts = [extractor(as_tensor(images[first : first + batch])) for first in range(0, len(images), batch)]
    return torch.cat(parts) if parts else torch.empty(0, extractor.dimension)


def feature_moments(
    extractor: Extractor, images: Images, label: str = "reference features", kept: Kept | None = None
) -> Moments:
    """Moments of the features of a whole set, which never stand in memory together.

    Several processes (:mod:`impasto.ranks`) deal out the images, and send all features to all, 4 D bytes an image:
    each sums them up as one process would, in its order and to the same bits. Sums of parts would be D times as large.

    Args:
        extractor: makes the features.
        images: uint8 [N, 3, H, W].
        label: what is made, for the display and for what is kept.
        kept: where features stay for a run that goes on after a kill.

    Raises:
        ImpastoError: there are fewer images than dimensions + 1.
    """
    require_enough(len(images), extractor, "reference images")
    total, n, keep = Moments.zero(extractor.dimension), len(images), kept or Kept()

    def made(rows: slice) -> Tensor:
        return keep(f"{label}-{rows.start}", lambda: features(extractor, images[rows])).to(extractor.device)

    size = BLOCK // PARTS
    parts = [slice(at, min(at + size, n)) for at in range(0, n, size)]
    dealt = ranks.dealt(parts, made, lambda rows: blank(extractor, rows.stop - rows.start))
    for _ in track(-(-n // BLOCK), label, unit="block"):
        total += Moments.of(torch.cat([part for _, part in islice(dealt, PARTS)]))
    return total


def blank(extractor: Extractor, *shape: int) -> Tensor:
    """Room for features [..., D] that another process makes."""
    return torch.empty(*shape, extractor.dimension, device=extractor.device)


def as_tensor(images: Tensor | np.ndarray) -> Tensor:
    """A batch as a tensor; rows of a read-only memory map are copied."""
    return images if isinstance(images, Tensor) else torch.from_numpy(np.array(images))


def require_enough(count: int, extractor: Extractor, what: str) -> None:
    """Check that ``count`` images give a covariance of full rank, for which D + 1 are needed.

    Args:
        count: the number of images.
        extractor: gives the dimension D.
        what: the set of images, named in the error.

    Raises:
        ImpastoError: there are too few; the distance would be biased by the missing directions.
    """
    needed = extractor.dimension + 1
    if count < needed:
        raise ImpastoError(
            f"{count} {what} are too few for the {extractor.dimension} dimensions of {extractor.name}",
            where="fid",
            remedy=f"Provide at least {needed} images, or choose an extractor of fewer dimensions.",
        )
