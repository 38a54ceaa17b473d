"""Encode the style bank and fit the decoder."""

from __future__ import annotations

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
from impasto.style.encoders import ENCODERS
from impasto.style.fit import LOSSES, fit_decoder
from impasto.style.stylize import BANK, DECODER, Stylizer

ALPHAS = (0.25, 0.5, 0.75, 1.0)
SHOWN = 8  # rows of the picture


@command
def style(images: In, split: In, out: Out, picture: Out, timing: Out, params: Params = PARAMS) -> None:
    """Write the style statistics, the fitted decoder and a picture of what they do to training images."""
    with stage("style", params, timing, images=images, split=split) as this:
        config, seed = this.load(Style), this.load(Seed).seed
        styles = style_images(config, seed).to(device())
        contents = to_device(Images.load(images).pixels[read_npy(split / "train.npy")], device())
        encoder = ENCODERS[config.encoder](config.upscale)
        encoder.to(device())
        encode_styles(styles, encoder).save(out / BANK)
        resume = this.resume("decoder")
        fitted = fit_decoder(encoder, contents, styles, config.decoder, seed, resume)
        fitted.decoder.save(out / DECODER)
        write_json(out / "meta.json", _log(this, fitted.losses) | {"styles": len(styles)})
        write_png(picture, _sheet(Stylizer(encoder, fitted.decoder, load_bank(out / BANK).to(device())), contents))
        this.run.artifact(picture)
        resume.finish()


def _log(this: Stage, losses: Tensor) -> dict[str, float]:
    """Log the curve, every tenth step; returns the mean of the last fifty."""
    for step in range(0, len(losses), 10):
        this.run.metrics(dict(zip(LOSSES, losses[step].tolist(), strict=True)), step=step)
    return dict(zip(LOSSES, losses[-50:].mean(0).tolist(), strict=True))


def _sheet(painter: Stylizer, contents: Tensor) -> np.ndarray:
    shown = contents[torch.linspace(0, len(contents) - 1, SHOWN).long()]
    ids = torch.linspace(0, len(painter.bank.mean) - 1, SHOWN).long()
    return grid([shown, *(painter(shown, ids, torch.full((SHOWN,), alpha)) for alpha in ALPHAS)])


if __name__ == "__main__":
    run(style)
