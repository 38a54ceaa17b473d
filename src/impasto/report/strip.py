"""One image on its way through the pipeline, and what the model makes of it at each stop."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from impasto.config.evaluate import Evaluate
from impasto.corruptions.registry import corrupt
from impasto.data.images import Images, to_device
from impasto.io import read_json, read_npy
from impasto.report.wording import spaced
from impasto.rng import generator
from impasto.style.stylize import Painter

ALPHAS = (0.5, 1.0)
SHOWN = 4  # corruptions


class Panel(NamedTuple):
    """One image of the strip.

    Attributes:
        title: what was done to it.
        pixels: uint8 [H, W, 3].
        verdict: the class that the model sees.
        confidence: its probability.
        right: whether it is the true class.
    """

    title: str
    pixels: np.ndarray
    verdict: str
    confidence: float
    right: bool


class Strip(NamedTuple):
    """The panels, the true class of all of them, and the size of the model that judged them."""

    truth: str
    panels: list[Panel]
    parameters: int


class Sources(NamedTuple):
    """Folders of earlier stages."""

    images: Path
    split: Path
    pool: Path
    synthetic: Path
    style: Path


def make_strip(
    sources: Sources,
    model: nn.Module,
    painter: Painter,
    config: Evaluate,
    corruptions: tuple[str, ...],
    severity: int,
    seed: int,
    device: torch.device,
) -> Strip:
    """Take a validation image that the seed draws, without looking, and show it plain, painted and corrupted.

    Args:
        sources: the folders of the images, the split, the synthetic images and the styles.
        model: float images in [0, 1] -> logits, on the device.
        painter: on the device.
        config: seed of the corruptions' noise and the table of their constants.
        corruptions: names to choose from, evenly.
        severity: of the corruptions.
        seed: draws the image, a synthetic one of its class and the style.
        device: where to work.
    """
    draws = generator(seed, "report-strip")
    images = Images.load(sources.images)
    row = _draw(np.array(read_npy(sources.split / "validation.npy")), draws)
    image, label = to_device(images.pixels[row], device), int(images.labels[row[0]])
    style = torch.randint(read_json(sources.style / "meta.json")["styles"], (1,), generator=draws)
    shown = {"original": image, **_synthetic(sources, label, draws, device)}
    shown |= {
        f"painted, \N{GREEK SMALL LETTER ALPHA} {alpha:g}": painter(image, style, torch.tensor([alpha]))
        for alpha in ALPHAS
    }
    constants = None if config.table == "auto" else config.table
    # Frost needs photographs that the evaluation may have had elsewhere, or only as files.
    for name in _evenly(tuple(name for name in corruptions if name != "frost")):
        spoilt = corrupt(image, name, severity, config.seed, torch.from_numpy(row), constants)
        shown[f"{spaced(name)} {severity}"] = spoilt
    panels = _judge(shown, model, label, images.classes)
    return Strip(images.classes[label], panels, sum(p.numel() for p in model.parameters()))


def _synthetic(sources: Sources, label: int, draws: torch.Generator, device: torch.device) -> dict[str, Tensor]:
    """A selected synthetic image of the class, if there is any."""
    pool, index = Images.load(sources.pool), np.array(read_npy(sources.synthetic / "index.npy"))
    alike = index[pool.labels[index] == label]
    return {"synthetic": to_device(pool.pixels[_draw(alike, draws)], device)} if len(alike) else {}


def _draw(rows: np.ndarray, draws: torch.Generator) -> np.ndarray:
    """One of the rows, int64 [1]."""
    place = int(torch.randint(len(rows), (1,), generator=draws))
    return rows[place : place + 1]


def _evenly(names: tuple[str, ...]) -> list[str]:
    places = np.linspace(0, len(names) - 1, min(SHOWN, len(names))).round().astype(int)
    return [names[place] for place in places]


def _judge(shown: dict[str, Tensor], model: nn.Module, label: int, classes: tuple[str, ...]) -> list[Panel]:
    batch = torch.cat(list(shown.values()))
    with torch.inference_mode():
        confidence, found = model(batch.float() / 255).float().softmax(1).max(1)
    pixels = batch.permute(0, 2, 3, 1).cpu().numpy()
    rows = zip(shown, pixels, found.tolist(), confidence.tolist(), strict=True)
    return [Panel(title, one, classes[seen], sure, seen == label) for title, one, seen, sure in rows]
