"""The published artefacts of AdaIN: where they are to be had, and how they become what the pipeline keeps.

The two networks are converted to safetensors once, and the feature maps of the styles (up to 1.6 GB) are reduced to
their channel statistics (4 MB), which are all that AdaIN asks for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from impasto.data.origin import Origin, Published, obtain
from impasto.data.pinned import pin
from impasto.data.remote import Remote
from impasto.data.weights import load_weights, read_weights, save_weights
from impasto.errors import ImpastoError
from impasto.io import read_npy
from impasto.style.adain import Moments, moments
from impasto.style.bank import StyleBank
from impasto.style.vgg import Vgg19Encoder, decoder_shapes, encoder_shapes, published_encoder_shapes

_ADAIN = "https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0"

VGG19 = Published(
    Remote("vgg_normalised.pth", (f"{_ADAIN}/vgg_normalised.pth", f"{_ADAIN}/vgg_normalized.pth")),
    git_blob="18a783877329319e5a640ae20f7b98c64e5f5572",
)
"""VGG-19, MIT licence; its README spells the name both ways."""

VGG_DECODER = Published(
    Remote("decoder.pth", (f"{_ADAIN}/decoder.pth",)), git_blob="ccd7832185528ee899f752d532c3a5f08627196a"
)
"""The decoder fitted to it, MIT licence."""

STYLE_FEATURES = Published(
    Remote(
        "style_feats_adain_1000.npy",
        ("https://zenodo.org/records/16279015/files/style_feats_adain_1000.npy?download=1",),
    )
)
"""relu4_1 features of 1000 paintings, by the authors of arXiv 2512.15675; no checksum is known."""

_CHUNK = 16  # styles reduced at once: 25 MB of features at 224 px


def published_encoder(upscale: int, path: Path | None = None) -> Vgg19Encoder:
    """The encoder straight from ``vgg_normalised.pth``, on the CPU; arguments and errors as its siblings here."""
    return Vgg19Encoder(upscale, read_weights(obtain(VGG19, path)[0], published_encoder_shapes()))


def convert_encoder(target: Path, path: Path | None = None) -> Origin:
    """Write the encoder's 31 layers as safetensors, from a copy of ``vgg_normalised.pth`` or from a download.

    Args:
        target: the file to write.
        path: the copy; None downloads it (see :func:`impasto.data.origin.obtain`).

    Returns:
        The identity of the copy, which is kept in the file as well.

    Raises:
        ImpastoError: the copy cannot be had, or its tensors are not those of the published file.
    """
    source, origin = obtain(VGG19, path)
    tensors = read_weights(source, published_encoder_shapes())
    save_weights(target, {name: tensors[name] for name in encoder_shapes()}, origin)
    return origin


def convert_decoder(target: Path, path: Path | None = None) -> Origin:
    """As :func:`convert_encoder`, for ``decoder.pth``, of which all layers are kept."""
    source, origin = obtain(VGG_DECODER, path)
    save_weights(target, read_weights(source, decoder_shapes()), origin)
    return origin


def load_encoder(path: Path, upscale: int) -> Vgg19Encoder:
    """The encoder from what :func:`convert_encoder` wrote, on the CPU.

    Raises:
        ImpastoError: the file is missing, damaged or none of these.
    """
    return Vgg19Encoder(upscale, load_weights(path, encoder_shapes())[0])


def published_bank(path: Path | None, count: int) -> tuple[StyleBank, Origin]:
    """The bank of the published styles, from a copy of ``style_feats_adain_1000.npy`` or from a download.

    Args:
        path: the copy; None downloads it (see :func:`impasto.data.origin.obtain`).
        count: how many styles to take, the first of the file.

    Returns:
        (the bank, without statistics of the pixels: the paintings are not published; the identity of the copy).

    Raises:
        ImpastoError: the copy cannot be had, or holds no features of relu4_1, or fewer than ``count``.
    """
    source, origin = obtain(STYLE_FEATURES, path)
    bank = bank_of_features(source, count)
    if path is None and origin.published is None:
        pin(source)
    return bank, origin


def bank_of_features(path: Path, count: int) -> StyleBank:
    """Reduce stored feature maps to a bank, reading a few at a time through a memory map.

    Args:
        path: an ``.npy`` file of float [S, 512, h, w].
        count: how many of the S to take, the first ones.

    Raises:
        ImpastoError: the file is no such array, S is below ``count``, or an entry that is taken is not finite.
    """
    maps = read_npy(path)
    if maps.ndim != 4 or maps.shape[1] != Vgg19Encoder.channels or maps.dtype.kind != "f" or 0 in maps.shape:
        raise _no_features(path, f"is {maps.dtype} {list(maps.shape)}")
    if maps.shape[2] * maps.shape[3] < 2:
        raise _no_features(path, f"has maps of {maps.shape[2]} x {maps.shape[3]}, which have no deviation")
    if len(maps) < count:
        what, remedy = f"style.count is {count}, but {path} holds {len(maps)} styles", f"Lower it to {len(maps)}."
        raise ImpastoError(what, where="style.count", remedy=remedy)
    maps = maps[:count]
    chunks = (np.array(maps[at : at + _CHUNK], dtype=np.float32) for at in range(0, len(maps), _CHUNK))
    parts = [moments(torch.from_numpy(chunk)) for chunk in chunks]
    found = Moments(*(torch.cat(column) for column in zip(*parts, strict=True)))
    if not all(bool(column.isfinite().all()) for column in found):
        raise _no_features(path, "has entries that are not finite")
    return StyleBank(found.mean, found.std, rgb_mean=torch.empty(len(maps), 0), rgb_std=torch.empty(len(maps), 0))


def _no_features(path: Path, fault: str) -> ImpastoError:
    return ImpastoError(
        f"{path} {fault}; style features are finite float [S, {Vgg19Encoder.channels}, h, w]",
        where=str(path),
        remedy=f"Name the published {STYLE_FEATURES.remote.name} or another file of relu4_1 features.",
    )
