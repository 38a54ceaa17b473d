"""The style bank: a few hundred images reduced to the channel statistics that AdaIN asks for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from impasto.config.style import Style
from impasto.errors import ImpastoError
from impasto.io import atomic, missing
from impasto.style.adain import moments
from impasto.style.encoders import Encoder
from impasto.style.folder import folder_styles
from impasto.style.procedural import procedural_styles
from impasto.workspace import main_root

_CHUNK = 64  # images encoded at once


class StyleBank(NamedTuple):
    """Per-channel moments of S styles, float32: at the encoder's AdaIN level [S, C] and of the pixels [S, 3].

    Where the pixels are not known, as of published features, theirs are [S, 0].

    One thousand styles with 144 channels are 1.2 MB; their feature maps, which nothing needs, would be 147 MB.
    """

    mean: Tensor
    std: Tensor
    rgb_mean: Tensor
    rgb_std: Tensor

    def to(self, device: torch.device) -> StyleBank:
        """The same bank on another device."""
        return StyleBank(*(tensor.to(device) for tensor in self))

    def save(self, path: Path) -> None:
        """Write the bank as safetensors, atomically."""
        with atomic(path) as part:
            save_file({name: tensor.cpu().contiguous() for name, tensor in self._asdict().items()}, part)


def encode_styles(images: Tensor, encoder: Encoder) -> StyleBank:
    """Reduce style images to a bank.

    Args:
        images: uint8 [S, 3, size, size], on the encoder's device.
        encoder: gives the AdaIN level.
    """
    parts = []
    with torch.no_grad():
        for chunk in images.split(_CHUNK):
            pixels = chunk.float() / 255
            parts.append((*moments(encoder.levels(pixels)[-1]), *moments(pixels)))
    return StyleBank(*(torch.cat(column) for column in zip(*parts, strict=True)))


def load_bank(path: Path) -> StyleBank:
    """Read a bank that :meth:`StyleBank.save` wrote, onto the CPU.

    Raises:
        ImpastoError: the file is missing or is no style bank.
    """
    if not path.exists():
        raise missing(path)
    try:
        return StyleBank(**load_file(path))
    except (SafetensorError, TypeError) as error:
        raise ImpastoError(
            f"{path} is no style bank: {error}", where=str(path), remedy="Delete it and run `dvc repro style`."
        ) from error


def style_images(style: Style, seed: int) -> Tensor:
    """The style images that the parameters ask for, uint8 [count, 3, size, size].

    Raises:
        ImpastoError: the folder cannot serve (see :func:`impasto.style.folder.folder_styles`), or is not named.
    """
    assert style.count is not None  # the section is checked
    if style.bank == "procedural":
        return procedural_styles(style.count, style.size, style.min_std, seed)
    if style.root is None:
        raise ImpastoError(
            "style.bank is folder, but style.root is null", where="style.root", remedy="Name a folder of pictures."
        )
    return folder_styles(main_root() / Path(style.root).expanduser(), style.count, style.size, style.min_std, seed)
