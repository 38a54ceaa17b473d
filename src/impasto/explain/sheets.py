"""The two pictures: maps over images and their stylised twins, and the easiest and hardest images of each class."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from impasto.explain.maps import GRAD_CAM
from impasto.explain.overlay import overlay, tinted
from impasto.io import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, STEP, BELOW = 0.9, 0.96, 0.14  # inches: of a panel, from one to the next, of a line of words below it
EDGE, HEAD, FOOT = 0.1, 0.38, 0.45  # inches
DPI = 120  # a panel has as many pixels at any size of the images
LETTERS = 6.5  # points
LONGEST, ALONE, BESIDE = 16, 14, 10  # letters of a class's name: at the left, on a line of its own, beside a number
PAPER, INK, MUTED, RIGHT, WRONG = "#fffdf9", "#26231f", "#6f685e", "#2f7d4f", "#b8482e"


class Panel(NamedTuple):
    """A picture in a grid: uint8 [H, W, 3], the words below it and their colour."""

    pixels: np.ndarray
    words: str = ""
    colour: str = MUTED


class Looked(NamedTuple):
    """An image or a twin, with the maps over it.

    Attributes:
        pixels: uint8 [3, H, W].
        truth: its class.
        answer: the class that the model sees.
        confidence: the probability of that class.
        maps: name -> float [h, w].
        words: what stands below each map.
    """

    pixels: np.ndarray
    truth: str
    answer: str
    confidence: float
    maps: dict[str, np.ndarray]
    words: dict[str, str]


def maps_sheet(rows: Sequence[tuple[Looked, Looked]]) -> bytes:
    """A row for each image: its class, itself and its maps, then its stylised twin and the twin's; PNG."""
    names = list(rows[0][0].maps)
    titles = [[first, *map(heading, names)] for first in ("image", "stylised twin")]
    grid: list[list[Panel | None]] = [[*_looked(image), None, *_looked(twin)] for image, twin in rows]
    return _sheet([*titles[0], "", *titles[1]], grid, [short(image.truth) for image, _ in rows], scale=bool(names))


def ranked_sheet(rows: Sequence[tuple[str, list[Panel], list[Panel]]], count: int) -> bytes:
    """A row for each class: its name, up to ``count`` easy images from the easiest on, and hard ones; PNG."""
    grid: list[list[Panel | None]] = []
    for _, easy, hard in rows:
        grid.append([*_filled(easy, count), None, *_filled(hard, count)])
    titles = ["easy, the easiest first", *[""] * count, "hard, the hardest first", *[""] * (count - 1)]
    return _sheet(titles, grid, [short(name) for name, _, _ in rows], scale=False)


def heading(name: str) -> str:
    """A map's name as words, on two lines where one would not do."""
    return "Grad-CAM" if name == GRAD_CAM else name.replace("attention_", "attention,\nstride ")


def short(name: str, letters: int = LONGEST) -> str:
    """A class's name, cut where it is too long for its place."""
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def write(path: Path, png: bytes) -> None:
    """Write a picture, atomically."""
    with atomic(path) as part:
        part.write_bytes(png)


def _looked(one: Looked) -> list[Panel]:
    right = one.answer == one.truth
    verdict = f"{'✓' if right else '✗'} {short(one.answer, BESIDE)}  {100 * one.confidence:.0f} %"
    image = Panel(one.pixels.transpose(1, 2, 0), verdict, RIGHT if right else WRONG)
    return [image, *(Panel(overlay(one.pixels, found), one.words[name]) for name, found in one.maps.items())]


def _filled(panels: list[Panel], count: int) -> list[Panel | None]:
    return [*panels, *[None] * (count - len(panels))]


def _sheet(titles: list[str], grid: list[list[Panel | None]], names: list[str], scale: bool) -> bytes:
    """A grid of panels, with words above its columns and before its rows; columns without any panel are narrow.

    All stands in one system of axes, in inches: axes for each panel would take ten times as long.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    used = [any(row[column] for row in grid) or bool(titles[column]) for column in range(len(titles))]
    longest = max(map(len, names))
    edges = np.cumsum(
        [EDGE + (0.08 * longest + 0.05 if longest else 0), *(STEP if there else 0.25 * STEP for there in used)]
    )
    lines = 1 + max(panel.words.count("\n") for row in grid for panel in row if panel)
    down, foot = STEP + lines * BELOW, FOOT if scale else EDGE
    wide, high = float(edges[-1]) + EDGE, HEAD + len(grid) * down + foot
    with style.context(["default", {"font.family": "DejaVu Sans", "font.size": LETTERS, "text.color": INK}]):
        figure = Figure(figsize=(wide, high), facecolor=PAPER)
        axes = figure.add_axes((0, 0, 1, 1), frameon=False)
        for left, title in zip(edges, titles, strict=False):
            axes.text(left, high - HEAD + 0.05, title, weight="bold", va="bottom")
        for y, (name, row) in enumerate(zip(names, grid, strict=True)):
            top = high - HEAD - y * down
            axes.text(EDGE, top - STEP / 2, name, va="center", weight="bold", parse_math=False)
            for left, panel in zip(edges, row, strict=False):
                if panel:
                    _draw(axes, panel, float(left), top)
        if scale:
            _scale(axes, float(edges[0]))
        axes.set(xlim=(0, wide), ylim=(0, high), xticks=[], yticks=[], aspect="auto")
        return _png(figure)


def _draw(axes: Axes, panel: Panel, left: float, top: float) -> None:
    axes.imshow(panel.pixels, extent=(left, left + SIDE, top - SIDE, top))
    middle = left + SIDE / 2
    axes.text(middle, top - SIDE - 0.04, panel.words, color=panel.colour, ha="center", va="top", parse_math=False)


def _scale(axes: Axes, left: float) -> None:
    """What the colours mean, as they look over a middle grey."""
    values, right = np.linspace(0, 1, 256)[None], left + 2 * SIDE
    axes.imshow(tinted(values, np.full(values.shape, 0.5)), extent=(left, right, 0.24, 0.34))
    axes.text(left, 0.19, "0", color=MUTED, va="top")
    axes.text(right, 0.19, "highest value of each map", color=MUTED, ha="right", va="top")


def _png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()
