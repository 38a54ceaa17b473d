"""Encode the style bank and fit the decoder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto.config.seed import Seed
from impasto.config.style import Style
from impasto.data.images import Images, to_device
from impasto.io import read_npy, write_json
from impasto.picture import grid, write_png
from impasto.runtime import device
from impasto.stages.command import PARAMS, In, Out, Params, Stage, command, run, stage
from impasto.style.bank import encode_styles, load_bank, style_images
from impasto.style.decoder import load_decoder
from impasto.style.fit import LOSSES, fit_decoder
from impasto.style.published import convert_decoder, convert_encoder, published_bank
from impasto.style.stylize import BANK, DECODER, ENCODER, Stylizer, stored_encoder

ALPHAS = (0.25, 0.5, 0.75, 1.0)
SHOWN = 8  # rows of the picture


@command
def style(images: In, split: In, out: Out, picture: Out, timing: Out, params: Params = PARAMS) -> None:
    """Write the style statistics, the decoder and a picture of what they do to training images."""
    with stage("style", params, timing, images=images, split=split) as this:
        config = this.load(Style)
        facts: dict[str, Any] = {}
        contents = to_device(Images.load(images).pixels[read_npy(split / "train.npy")], device())
        if config.encoder == "vgg19":
            facts["encoder"] = asdict(convert_encoder(out / ENCODER, _path(config.encoder_weights)))
        encoder = stored_encoder(out, config)
        encoder.to(device())
        resume = this.resume("decoder")
        if config.bank == "published":
            assert config.count is not None  # the section is checked
            bank, origin = published_bank(_path(config.root), config.count)
            facts["bank"] = asdict(origin)
        else:
            training = config.bank == "training"
            styles = contents if training else style_images(config, this.load(Seed).seed).to(device())
            bank = encode_styles(styles, encoder)
            facts |= {"training": True} if training else {}
        bank.save(out / BANK)
        if config.decoder.source == "published":
            facts["decoder"] = asdict(convert_decoder(out / DECODER, _path(config.decoder.weights)))
        else:
            fitted = fit_decoder(encoder, contents, styles, config.decoder, this.load(Seed).seed, resume)
            fitted.decoder.save(out / DECODER)
            facts |= _log(this, fitted.losses)
        write_json(out / "meta.json", facts | {"styles": len(bank.mean)})
        decoder = load_decoder(out / DECODER).to(device())
        painter = Stylizer(encoder, decoder, load_bank(out / BANK).to(device()))
        write_png(picture, _sheet(painter, contents, own="training" in facts))
        this.run.artifact(picture)
        resume.finish()


def _path(value: str | None) -> Path | None:
    return Path(value) if value else None


def _log(this: Stage, losses: Tensor) -> dict[str, float]:
    """Log the curve, every tenth step; returns the mean of the last fifty."""
    for step in range(0, len(losses), 10):
        this.run.metrics(dict(zip(LOSSES, losses[step].tolist(), strict=True)), step=step)
    return dict(zip(LOSSES, losses[-50:].mean(0).tolist(), strict=True))


def _sheet(painter: Stylizer, contents: Tensor, own: bool) -> np.ndarray:
    """Some images, plain and at each strength; where they are the styles themselves, each in the next one's."""
    shown = contents[torch.linspace(0, len(contents) - 1, SHOWN).long()]
    ids = torch.linspace(0, len(painter.bank.mean) - 1, SHOWN).long().roll(-own)
    return grid([shown, *(painter(shown, ids, torch.full((SHOWN,), alpha)) for alpha in ALPHAS)])


if __name__ == "__main__":
    run(style)
