"""Pretrained weights that are downloaded by a name: those with which the paper's ViT-B/16 starts."""

from __future__ import annotations

from pathlib import Path

from impasto.data.origin import FOLDER, Published, obtain
from impasto.data.remote import Remote
from impasto.workspace import main_root

_VIT = "vit_b_16-c867db91.pth"

PUBLISHED = {
    "torchvision-vit-b-16": Published(Remote(_VIT, (f"https://download.pytorch.org/models/{_VIT}",)), sha256="c867db91")
}
"""By the name that ``model.weights`` takes. torchvision's ViT_B_16_Weights.IMAGENET1K_V1, BSD-3, 330 MB.

Its file name ends in the first digits of its SHA-256, as PyTorch Hub checks them; more of them are not published.
"""


def weights_file(weights: str) -> Path:
    """The file that ``model.weights`` means.

    Args:
        weights: a name in :data:`PUBLISHED`, which is downloaded once to :data:`impasto.data.origin.FOLDER`, or a path,
            relative to the repository's root (also from a queued experiment's copy), absolute or from ``~``.

    Raises:
        ImpastoError: the download failed, or the file that bears the published name is another one. Whether there is a
            file at a path is not looked at.
    """
    published = PUBLISHED.get(weights)
    if published is None:
        return main_root() / Path(weights).expanduser()
    there = main_root() / FOLDER / published.remote.name
    return obtain(published, there if there.exists() else None)[0]  # what is there no process locks
