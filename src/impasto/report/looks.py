"""How far style moves the look of the fine-tuned classifier, read from ``metrics/overlap.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from impasto.io import read_record


class Spread(NamedTuple):
    """A measure over images: mean and standard deviation where they can be had, and how many images gave a number."""

    mean: float | None
    sd: float | None
    n: int


class MapRow(NamedTuple):
    """One map of the network.

    Attributes:
        name: in words.
        positions: its height and width.
        iou: overlap with the map of the image's own stylised twin.
        iou_null: with that of another image's.
        spearman: rank correlation with the map of its own twin.
        spearman_null: of another image's.
    """

    name: str
    positions: tuple[int, int]
    iou: Spread
    iou_null: Spread
    spearman: Spread
    spearman_null: Spread


class Looks(NamedTuple):
    """What was compared.

    Attributes:
        n: test images.
        share: of the positions whose overlap is measured.
        alpha: lowest and highest strength of style.
        seed: of the classifier.
        maps: a row each; none where the network has no map.
    """

    n: int
    share: float
    alpha: tuple[float, float]
    seed: int
    maps: list[MapRow]

    @property
    def attention(self) -> bool:
        """Whether the network has an attention head."""
        return any(row.name != GRAD_CAM for row in self.maps)

    @property
    def grad_cam(self) -> bool:
        """Whether it has a last map for Grad-CAM."""
        return any(row.name == GRAD_CAM for row in self.maps)


GRAD_CAM = "Grad-CAM"


def load_looks(path: Path) -> Looks:
    """Read the record."""
    found = read_record(path)
    rows = [_row(name, one) for name, one in found["maps"].items()]
    # JSON is written with sorted keys: taps by stride, Grad-CAM last, as in the picture.
    rows.sort(key=lambda row: (row.name == GRAD_CAM, -row.positions[0]))
    return Looks(found["n"], found["share"], (found["alpha"][0], found["alpha"][1]), found["seed"], rows)


def _row(name: str, one: dict[str, Any]) -> MapRow:
    stride = name.removeprefix("attention_")
    title = GRAD_CAM if name == "grad_cam" else f"attention, stride {stride}"
    values = (Spread(**one[key]) for key in ("iou", "iou_null", "spearman", "spearman_null"))
    return MapRow(title, (one["positions"][0], one["positions"][1]), *values)
