"""What the stages that train a classifier make of their inputs and parameters."""

from __future__ import annotations

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
from impasto.io import write_json, write_npy
from impasto.stages.classifier import Inputs
from impasto.stages.command import Stage
from impasto.style.bank import StyleBank
from impasto.style.stylize import BANK, DECODER, ENCODER, Stylizer
from impasto.style.vgg import Vgg19Encoder, decoder_shapes, encoder_shapes
from impasto.tracking.stage import StageRun
from tiny import change, mix, pictures

FAITHFUL = {
    "style__faithful": True, "style__bank": "published", "style__encoder": "vgg19", "style__upscale": 32,
    "style__refresh": 1.0, "style__decoder__source": "published",
}  # fmt: skip


def blank(file: Path, shapes: Shapes) -> None:
    """Weights of the published layout, all of them 0."""
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    save_weights(file, weights, Origin("blank", 0, "", "", None))


@pytest.fixture
def feed(params: Path) -> Callable[..., Feed]:
    """The feed that a stage has with some leaves of params.yaml changed; images, pool and style model are tiny."""
    inputs = {name: params.parent / name for name in ("images", "split", "pool", "synthetic", "style")}
    for name in ("images", "pool"):
        Images(*pictures(24), tuple("abcd"), "made").save(inputs[name])
    for name, rows in {"train": range(16), "validation": range(16, 24)}.items():
        write_npy(inputs["split"] / f"{name}.npy", np.array(rows))
    write_npy(inputs["synthetic"] / "index.npy", np.arange(20))
    columns = (torch.ones(50, n) for n in (Vgg19Encoder.channels, Vgg19Encoder.channels, 3, 3))
    inputs["style"].mkdir()
    StyleBank(*columns).save(inputs["style"] / BANK)
    write_json(inputs["style"] / "meta.json", {"styles": 50})
    blank(inputs["style"] / ENCODER, encoder_shapes())
    blank(inputs["style"] / DECODER, decoder_shapes())

    def made(copies: str = "kept", **leaves: Any) -> Feed:
        change(params, **leaves)
        this = Stage("train", params, inputs, StageRun(None))  # nothing is logged
        return Inputs(this).feed(0, params.parent / "resume", mix(), copies)

    return made


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
