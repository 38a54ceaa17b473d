"""What the stages that train a classifier make of their inputs and parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from impasto.config.style import Difference
from impasto.data.images import Images
from impasto.data.origin import Origin
from impasto.data.weights import Shapes, save_weights
from impasto.feed import Feed
from impasto.io import read_csv, write_json, write_npy
from impasto.mix import Plan
from impasto.stages.classifier import Inputs
from impasto.stages.command import Stage
from impasto.style.bank import StyleBank
from impasto.style.stylize import BANK, DECODER, ENCODER, Stylizer
from impasto.style.vgg import Vgg19Encoder, decoder_shapes, encoder_shapes
from impasto.tracking.stage import StageRun
from tiny import change, mix, pictures

CLASSES = ("a", "b, c", 'd"', "e")
FAITHFUL = {
    "style__faithful": True, "style__bank": "published", "style__encoder": "vgg19", "style__upscale": 32,
    "style__refresh": 1.0, "style__decoder__source": "published",
}  # fmt: skip


def blank(file: Path, shapes: Shapes) -> None:
    """Weights of the published layout, all of them 0."""
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    save_weights(file, weights, Origin("blank", 0, "", "", None))


@pytest.fixture
def inputs(params: Path) -> dict[str, Path]:
    """Inputs of a stage; images, pool and style model are tiny."""
    found = {name: params.parent / name for name in ("images", "split", "pool", "synthetic", "style")}
    for name in ("images", "pool"):
        names = np.array([f"{name}/{row}.png" for row in range(24)])
        Images(*pictures(24), CLASSES, "made", names=names).save(found[name])
    for name, rows in {"train": range(16), "validation": range(16, 24)}.items():
        write_npy(found["split"] / f"{name}.npy", np.array(rows))
    write_npy(found["synthetic"] / "index.npy", np.arange(20))
    columns = (torch.ones(50, n) for n in (Vgg19Encoder.channels, Vgg19Encoder.channels, 3, 3))
    found["style"].mkdir()
    StyleBank(*columns).save(found["style"] / BANK)
    write_json(found["style"] / "meta.json", {"styles": 50})
    blank(found["style"] / ENCODER, encoder_shapes())
    blank(found["style"] / DECODER, decoder_shapes())
    return found


@pytest.fixture
def opened(params: Path, inputs: dict[str, Path]) -> Callable[..., Inputs]:
    """The inputs as a stage has them with some leaves of params.yaml changed."""

    def made(**leaves: Any) -> Inputs:
        change(params, **leaves)
        return Inputs(Stage("train", params, inputs, StageRun(None)))  # nothing is logged

    return made


@pytest.fixture
def feed(params: Path, opened: Callable[..., Inputs]) -> Callable[..., Feed]:
    """The feed of a stage likewise."""
    return lambda copies="kept", **leaves: opened(**leaves).feed(0, params.parent / "resume", mix(), copies)


@pytest.mark.parametrize("copies", ["kept", "random", "hardest"])
def test_copies_are_drawn_anew_if_the_parameters_say_so(feed: Callable[..., Feed], copies: str) -> None:
    found = feed(copies, style__method="colour", balance__p1=0.5, balance__p2=0.5, balance__styles="any")
    assert found.copies and len(found.copies.content) == 8
    assert (found.redraw is None) == (copies == "kept")
    if found.redraw:
        assert found.redraw.hardest == (copies == "hardest")
        sure = torch.arange(16.0)
        hardest = found.redraw.draw(0, sure).content
        assert sorted(hardest.tolist()) == list(range(8)), "the two of each of four classes that come first"
        assert torch.equal(found.streams[0].labels[hardest], found.streams[0].labels[16:])
    assert feed(copies, style__method="colour", balance__p1=0.0, balance__p2=0.0).redraw is None


@pytest.mark.parametrize(("consistency", "views"), [(12.0, 3), (0.0, 1)])
def test_consistency_shows_three_views(feed: Callable[..., Feed], consistency: float, views: int) -> None:
    found = feed(style__method="colour", train__consistency=consistency, train__batch=16)
    images, labels = next(found.epoch(0)[1])
    assert (len(images), len(labels)) == (views * 16, 16)


@pytest.mark.parametrize("faithful", [True, False])
def test_a_faithful_style_is_so_in_draws_and_paintings(feed: Callable[..., Feed], faithful: bool) -> None:
    found = feed(**FAITHFUL | {"style__faithful": faithful})
    painter = found.paintings._stylise
    assert isinstance(painter, Stylizer)
    assert found.faithful == painter.faithful == (get_args(Difference) if faithful else ())


COPIES = {
    "style__method": "colour", "style__bank": "training", "style__count": None, "balance__styles": "class",
    "balance__p1": 0.5, "balance__p2": 2.0, "alpha_o": [0.2, 0.7],
}  # fmt: skip


@pytest.fixture
def shuffled(inputs: dict[str, Path]) -> np.ndarray:
    """Training rows in an order of their own: 6, 5, 2 and 3 images of the classes, each of them a style."""
    rows = np.array([22, 1, 5, 9, 13, 17, 0, 4, 8, 12, 16, 20, 3, 7, 11, 2])
    write_npy(inputs["split"] / "train.npy", rows)
    write_json(inputs["style"] / "meta.json", {"styles": len(rows), "training": True})
    return rows


def test_copies_become_rows_that_are_shown_as_their_table_says(
    opened: Callable[..., Inputs], shuffled: np.ndarray, tmp_path: Path
) -> None:
    """The table names images by their rows in data/raw/train, whatever order the split has them in."""
    whole = opened(**COPIES)
    found = whole.feed(0, tmp_path, mix(lambda_=0.0, lambda_o=0.0))
    whole.write_copies(tmp_path / "copies.csv")
    rows = read_csv(tmp_path / "copies.csv")
    pixels, labels = pictures(24)
    assert Counter(row["class"] for row in rows) == dict(zip(CLASSES, (3, 2, 4, 6), strict=True))
    assert len(found) == 16 and len(found.streams[0]) == 16 + len(rows), "an epoch is as long as without them"
    plans = [found.plan(epoch) for epoch in range(12)]
    shown = {name: torch.cat([getattr(plan, name) for plan in plans]).tolist() for name in Plan._fields}
    seen = set()
    for row, stylised, style, alpha in zip(*map(shown.get, ("row", "stylised", "style", "alpha")), strict=True):
        assert stylised == (row >= 16)
        if stylised:
            told = rows[row - 16]
            seen.add(row)
            assert int(told["style"]) == shuffled[style] and float(told["alpha"]) == pytest.approx(alpha)
            assert 0.2 <= alpha <= 0.7
    assert len(seen) == len(rows), "each is shown some time"
    for number, told in enumerate(rows):
        content, style = int(told["content"]), int(told["style"])
        assert told["file"] == f"images/{content}.png"
        assert told["class"] == CLASSES[labels[content]] == CLASSES[labels[style]]
        assert content in shuffled and style in shuffled
        image = found.streams[0].gather(torch.tensor([16 + number]))[0]
        assert np.array_equal(image, pixels[content]) and found.streams[0].labels[16 + number] == labels[content]


def test_the_pairs_are_the_same_for_all_runs_of_a_seed(opened: Callable[..., Inputs], shuffled: np.ndarray) -> None:
    same = [opened(**COPIES, seed=seed).copies for seed in (0, 0, 1)]
    assert torch.equal(same[0].content, same[1].content) and not torch.equal(same[0].content, same[2].content)


def test_without_copies_there_is_no_table(opened: Callable[..., Inputs], tmp_path: Path) -> None:
    whole = opened(style__method="colour")
    whole.write_copies(tmp_path / "copies.csv")
    assert not (tmp_path / "copies.csv").exists() and whole.feed(0, tmp_path, mix()).copies is None
