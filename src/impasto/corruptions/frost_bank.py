"""The photographs that the corruption ``frost`` blends in: found on this machine, verified and scaled.

Their licence is not known, so they are not part of this package. They come with the generator of the benchmark and
with packages made from it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from impasto.corruptions.counter_rng import CounterRng
from impasto.errors import ImpastoError

FILES = {
    "frost1.png": "6ead634ace1f366d77e87078b465863c",
    "frost2.png": "98f0d2b1d74a048d3bc9c7ecfd886939",
    "frost3.png": "b3ed8eb147824261888e730f916c0d8b",
    "frost4.jpg": "d70b9d6aa0b1fe7bd8133b113787e078",
    "frost5.jpg": "50984ae2c871b7df2c28f1d71ca460a0",
}
"""The benchmark's files and their md5. There is a sixth, which its generator never draws."""

_PACKAGE = "imagecorruptions"  # installed by imagecorruptions-imaug
_WEIGHT_BITS = 11  # of OpenCV's bilinear weights
_REMEDY = (
    "Install imagecorruptions-imaug, or name a folder that holds the five files (evaluate.frost_bank, "
    "impasto corrupt --frost-bank, impasto.corruptions.frost_bank.use), or take frost_procedural, which needs none."
)

_folder: Path | None = None


@dataclass(frozen=True)
class Bank:
    """Pictures to cut crops from.

    Attributes:
        pictures: uint8 [N, 3, H, W]; each fills the upper left part of its own height and width.
        heights: int64 [N], each above the height of the crops.
        widths: int64 [N], each above the width of the crops.
        size: (height, width) of the crops.
    """

    pictures: Tensor
    heights: Tensor
    widths: Tensor
    size: tuple[int, int]

    def draw(self, rng: CounterRng) -> Tensor:
        """Choose crops uniformly: int64 [B, 3], which picture, top row and left column.

        As in the benchmark, the last row and column of a picture are never reached.
        """
        first, second, third = rng.uniforms(3).unbind(1)
        which = (first * len(self.pictures)).long()
        rows = (second * (self.heights[which] - self.size[0])).long()
        return torch.stack((which, rows, (third * (self.widths[which] - self.size[1])).long()), dim=1)

    def crops(self, places: Tensor) -> Tensor:
        """The crops at ``places``, as :meth:`draw` makes them: uint8 [B, 3, H, W]."""
        windows = self.pictures.unfold(2, self.size[0], 1).unfold(3, self.size[1], 1)
        which, rows, columns = places.unbind(1)
        return windows[which, :, rows, columns]


def use(folder: str | Path | None) -> None:
    """Take the photographs from ``folder`` in this process from now on; None: from the installed package."""
    global _folder
    _folder = None if folder is None else Path(folder)


def find(folder: Path | None = None) -> Path:
    """The folder with the photographs: ``folder``, or else that of the installed package, which is not imported.

    Raises:
        ImpastoError: no folder is given and the package is not installed.
    """
    if folder is not None:
        return folder
    spec = importlib.util.find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / "frost").is_dir():
            return Path(place) / "frost"
    raise ImpastoError("the photographs of frost are not on this machine", where="frost", remedy=_REMEDY)


def verify() -> None:
    """Read the photographs that :func:`load` will take.

    Raises:
        ImpastoError: they are not on this machine, or one is missing or another file.
    """
    _scaled(find(_folder), 0.2)


def load(scale: float, size: tuple[int, int], device: torch.device) -> Bank:
    """The five photographs at ``scale``, for crops of ``size``; kept in memory.

    A photograph that is not larger than a crop is continued by its mirror image, as often as it takes. (The
    benchmark's generator stops with an error there; none of its own sizes and scales leads there.)

    Raises:
        ImpastoError: a photograph is missing or is another file.
    """
    return _load(_folder, scale, size, device)


@lru_cache(maxsize=8)
def _load(folder: Path | None, scale: float, size: tuple[int, int], device: torch.device) -> Bank:
    pictures = [_continue(picture, size) for picture in _scaled(find(folder), scale)]
    sides = torch.tensor([picture.shape[1:] for picture in pictures])
    height, width = sides.amax(0).tolist()
    bank = torch.zeros(len(pictures), 3, height, width, dtype=torch.uint8)
    for room, picture in zip(bank, pictures, strict=True):
        room[:, : picture.shape[1], : picture.shape[2]] = picture
    return Bank(bank.to(device), sides[:, 0].to(device), sides[:, 1].to(device), size)


def _continue(picture: Tensor, size: tuple[int, int]) -> Tensor:
    for axis in (1, 2):
        while picture.shape[axis] <= size[axis - 1]:
            picture = torch.cat((picture, picture.flip(axis)), dim=axis)
    return picture


@lru_cache(maxsize=4)
def _scaled(folder: Path, scale: float) -> list[Tensor]:
    return [shrink(_read(folder / name, md5), scale) for name, md5 in FILES.items()]


def _read(file: Path, md5: str) -> Tensor:
    """Decode a verified file to uint8 [3, H, W]."""
    try:
        data = file.read_bytes()
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise ImpastoError(
            f"a photograph of frost cannot be read: {reason}", where=str(file), remedy=_REMEDY
        ) from error
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
        raise ImpastoError("this is not the benchmark's photograph: its md5 differs", where=str(file), remedy=_REMEDY)
    with Image.open(io.BytesIO(data)) as picture:
        pixels = torch.from_numpy(np.array(picture.convert("RGB")))
    planes: Tensor = pixels.permute(2, 0, 1).contiguous()
    return planes


def shrink(picture: Tensor, scale: float) -> Tensor:
    """Resize uint8 [3, H, W] bilinearly by a factor up to 1, equal to ``cv2.resize`` with that factor.

    (But not with 1/2, where OpenCV takes the mean of four pixels instead.) The weights have 11 bits, and sums are cut
    by 4 bits after the columns and by 16 and 2 after the rows.
    """
    if scale == 1:
        return picture
    left, right, right_weight = _positions(picture.shape[2], scale)
    top, bottom, bottom_weight = _positions(picture.shape[1], scale)
    # Beyond the border OpenCV repeats a column, but blends a row with itself, which can cost a level.
    right_weight = right_weight * ((left >= 0) & (right < picture.shape[2]))
    one, x = 2**_WEIGHT_BITS, picture.int()
    left, right = (each.clamp(0, picture.shape[2] - 1) for each in (left, right))
    top, bottom = (each.clamp(0, picture.shape[1] - 1) for each in (top, bottom))
    x = (x[..., left] * (one - right_weight) + x[..., right] * right_weight) >> 4
    above, below = x[:, top] * (one - bottom_weight)[:, None] >> 16, x[:, bottom] * bottom_weight[:, None] >> 16
    result: Tensor = (above + below + 2 >> 2).byte()
    return result


def _positions(side: int, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """The two pixels between which each new one lies, int64, and the weight of the second, int32."""
    centres = torch.arange(round(side * scale), dtype=torch.float64).add_(0.5).mul_(1 / scale).sub_(0.5).float()
    first = centres.floor()
    return first.long(), first.long() + 1, ((centres - first) * 2**_WEIGHT_BITS).round_().int()
