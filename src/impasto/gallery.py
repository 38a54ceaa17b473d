"""Every corruption at every severity on one image, as one labelled picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from impasto.corruptions.registry import SEVERITIES, corrupt
from impasto.progress import track

GAP = 4  # px between two cells
CELL = 96  # px that a cell has at least; smaller images are magnified by a whole factor
_LETTERS = 15  # px
_PAPER, _INK = (255, 255, 255), (38, 35, 31)


def gallery(image: np.ndarray, names: Sequence[str], seed: int, table: str) -> np.ndarray:
    """Draw a row for each corruption and a column for each severity; names stand on the left, severities on top.

    Args:
        image: uint8 [3, H, W].
        names: corruptions that are implemented, in the order of the rows.
        seed: of all draws.
        table: whose severity constants apply.

    Returns:
        uint8 [height, width, 3], RGB.
    """
    font = ImageFont.load_default(_LETTERS)
    height, width = (side * -(-CELL // side) + GAP for side in image.shape[1:])
    left = int(max(font.getlength(name) for name in (*names, "severity"))) + 3 * GAP
    top = 2 * _LETTERS
    sheet = Image.new("RGB", (left + width * (len(SEVERITIES) + 1), top + height * len(names)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, top // 2), "severity", _INK, font, anchor="lm")
    for column, title in enumerate(("clean", *map(str, SEVERITIES))):
        draw.text((left + column * width + (width - GAP) // 2, top // 2), title, _INK, font, anchor="mm")
    clean = torch.from_numpy(np.array(image))[None]
    for row in track(len(names), "gallery", "corruption"):
        name, y = names[row], top + row * height
        draw.text((GAP, y + height // 2), name, _INK, font, anchor="lm")
        spoilt = [corrupt(clean, name, severity, seed, torch.zeros(1, dtype=torch.int64), table)
                  for severity in SEVERITIES]  # fmt: skip
        for column, one in enumerate((clean, *spoilt)):
            cell = Image.fromarray(one[0].permute(1, 2, 0).numpy())
            large = cell.resize((width - GAP, height - GAP), Image.Resampling.NEAREST)
            sheet.paste(large, (left + column * width, y))
    return np.asarray(sheet)


def scene(size: int) -> np.ndarray:
    """A made picture, uint8 [3, size, size]: sky, sun, hills with texture, a house with edges, and saturated colours.

    Drawn four times as large and averaged, so that its edges are as soft as a photograph's.
    """
    side = 4 * size
    y, x = (axis / (side - 1) for axis in np.mgrid[:side, :side].astype(np.float64))
    grain = np.random.default_rng(7).normal(0, 1, (side, side))
    canvas = _mix(y[..., None], (70, 130, 215), (225, 232, 240))
    disc = np.exp(-((np.hypot(x - 0.78, y - 0.2) / 0.1) ** 6))[..., None]
    canvas = canvas * (1 - disc) + disc * np.array([255, 214, 80])
    for base, wave, colour, rough in ((0.55, 5.0, (96, 118, 150), 4), (0.68, 7.5, (66, 128, 62), 14)):
        hill = y > base + 0.06 * np.sin(wave * x + base * 9)
        canvas[hill] = (np.array(colour) + rough * grain[..., None])[hill]
    picture = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    _build(ImageDraw.Draw(picture), side)
    small = picture.resize((size, size), Image.Resampling.BOX)
    return np.asarray(small).transpose(2, 0, 1)


def _build(draw: ImageDraw.ImageDraw, side: int) -> None:
    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        return left * side, top * side, right * side, bottom * side

    draw.rectangle(box(0.18, 0.52, 0.56, 0.86), (236, 224, 204))
    draw.polygon([(p * side, q * side) for p, q in ((0.13, 0.53), (0.37, 0.3), (0.61, 0.53))], (178, 52, 40))
    draw.rectangle(box(0.25, 0.66, 0.34, 0.86), (92, 58, 36))
    for left in (0.4, 0.475):
        draw.rectangle(box(left, 0.6, left + 0.06, 0.7), (40, 66, 110))
    for left, colour in ((0.66, (222, 60, 140)), (0.76, (250, 200, 30)), (0.86, (120, 60, 200))):
        draw.ellipse(box(left, 0.8, left + 0.07, 0.87), colour)


def _mix(share: np.ndarray, first: tuple[int, ...], second: tuple[int, ...]) -> np.ndarray:
    mixed: np.ndarray = np.array(first) * (1 - share) + np.array(second) * share
    return np.broadcast_to(mixed, (share.shape[0], share.shape[0], 3)).copy()
