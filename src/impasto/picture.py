"""Contact sheets: batches of images as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from impasto.io import atomic

GAP = 2  # px between two images, before magnification


def grid(columns: Sequence[Tensor], magnify: int | None = None) -> np.ndarray:
    """Put batches side by side, one image a row.

    Args:
        columns: uint8 [N, 3, H, W] each, all of the same shape.
        magnify: whole factor by which pixels are repeated; None makes small images about 64 px wide.

    Returns:
        uint8 [rows, columns, 3], white between the images.
    """
    cells = torch.stack([column.cpu() for column in columns], 1)  # N, columns, 3, H, W
    framed = torch.nn.functional.pad(cells, (0, GAP, 0, GAP), value=255)
    magnify = max(1, 64 // cells.shape[-1]) if magnify is None else magnify
    n, m, _, height, width = framed.shape
    sheet = framed.permute(0, 3, 1, 4, 2).reshape(n * height, m * width, 3)[:-GAP, :-GAP]
    return sheet.repeat_interleave(magnify, 0).repeat_interleave(magnify, 1).numpy()


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 [H, W, 3] as PNG, atomically."""
    with atomic(path) as part:
        Image.fromarray(pixels).save(part, format="PNG")
