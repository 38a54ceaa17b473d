"""The figures: what is drawn where, and the same bytes for the same numbers."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from impasto.fid.curve import FrechetCurve
from impasto.report import figures
from impasto.report.data import Curve, Score
from impasto.report.figures import DARK, LIGHT, Mark, Plot, frechet_plot, training_plots

CURVE = FrechetCurve("extractor", "identity", "resize", 112, 1000, 3500, (0.0, 0.5, 1.0), (20.0, 80.0, 200.0))


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few pixels are quick."""
    monkeypatch.setattr(figures, "DPI", 60)


def pixels(png: bytes) -> np.ndarray:
    return np.array(Image.open(BytesIO(png)))


def places(png: bytes, colour: str) -> np.ndarray:
    """Columns of the picture that hold a colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)] + [255]
    return np.flatnonzero((pixels(png) == wanted).all(-1).any(0))


def curve(epochs: int, seeds: int = 1) -> Curve:
    rows = [{"loss": 2 / (e + 1), "validation_loss": 1 / (e + 1), "validation_accuracy": 0.5} for e in range(epochs)]
    return dict.fromkeys(range(seeds), rows)


def test_ground_is_transparent_and_ink_follows_the_theme() -> None:
    plot = frechet_plot(CURVE, None)
    for png in plot:
        assert pixels(png).shape[-1] == 4 and pixels(png)[[0, 0, -1, -1], [0, -1, 0, -1], 3].max() == 0
    assert len(places(plot.light, LIGHT.ink)) and len(places(plot.dark, DARK.ink))
    assert not len(places(plot.light, DARK.ink)) and not len(places(plot.dark, LIGHT.ink))


def test_run_is_marked_where_it_is() -> None:
    def middle(lambda_s: float) -> float:
        mark = Mark(lambda_s, Score(0.9, (0.88, 0.92)), Score(0.7, None))
        found = places(frechet_plot(CURVE, mark).light, LIGHT.second)  # clean accuracy, drawn below the curve
        return float(found.min() if lambda_s < 0.5 else found.max())

    width = pixels(frechet_plot(CURVE, None).light).shape[1]
    assert middle(0.1) < 0.4 * width < 0.6 * width < middle(0.9)
    assert not len(places(frechet_plot(CURVE, None).light, LIGHT.first))


def test_other_runs_stand_beside_this_one() -> None:
    def bluish(*others: tuple[float, float, float]) -> np.ndarray:
        """Columns that hold the colour of clean accuracy, faint lines included."""
        png = frechet_plot(CURVE, Mark(0.5, Score(0.9, None), Score(0.7, None), others)).light
        found = pixels(png).astype(int)
        return np.flatnonzero(((found[..., 2] - found[..., 0] > 60) & (found[..., 3] > 80)).any(0))

    alone, right, both = bluish(), bluish((1.0, 0.85, 0.65)), bluish((0.0, 0.8, 0.6), (1.0, 0.85, 0.65))
    assert right.max() > alone.max() and both.max() > alone.max()
    assert both.min() < right.min()


def test_unfreezing_is_shown_only_where_there_was_some() -> None:
    without, with_two = training_plots(curve(4), {}), training_plots(curve(4), curve(2))
    assert set(without) == {"loss", "accuracy"}
    assert all(without[name] != with_two[name] for name in without)


def test_same_numbers_give_the_same_bytes() -> None:
    first: dict[str, Plot] = training_plots(curve(3, seeds=2), {})
    assert first == training_plots(curve(3, seeds=2), {})
    assert b"Matplotlib" not in first["loss"].light
