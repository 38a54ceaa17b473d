"""Fitting the decoder: content, style and reconstruction losses on training images and textures.

After Huang & Belongie (2017, eq. 11-13), with two additions that let one decoder serve every alpha: alpha is
drawn per image (the style loss weighs alpha squared), and a quarter of the images, at alpha 0, must come back as
they were.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from impasto.checkpoint import Resume
from impasto.config.style import Decoder as Settings
from impasto.progress import track
from impasto.rng import generator
from impasto.style.adain import Moments, adain, moments
from impasto.style.decoder import Decoder
from impasto.style.encoders import Encoder, resized

LOSSES = ("content", "style", "reconstruction")
_CHUNK = 64  # styles encoded at once


class Fitted(NamedTuple):
    """A fitted decoder in eval mode, and its losses per iteration: float32 [iterations, 3], columns ``LOSSES``."""

    decoder: Decoder
    losses: Tensor


class Draws(NamedTuple):
    """What is random about one step, on the CPU: B images, a quarter of them textures, a quarter at alpha 0."""

    images: Tensor  # rows of the training images, int64 [3 B / 4]
    textures: Tensor  # styles that serve as content, int64 [B / 4]
    corners: Tensor  # where these are cropped, as shares of the room there is, float32 [B / 4, 2]
    styles: Tensor  # int64 [B]
    alpha: Tensor  # float32 [B]


def draw(rows: int, styles: int, batch: int, source: torch.Generator) -> Draws:
    """Draw one step. Alpha has density 2a on (0, 1), every fourth is 0: strong styles are the harder half."""
    quarter = batch // 4
    alpha = torch.rand(batch, generator=source).sqrt()
    alpha[::4] = 0
    return Draws(
        images=torch.randint(rows, (batch - quarter,), generator=source),
        textures=torch.randint(styles, (quarter,), generator=source),
        corners=torch.rand(quarter, 2, generator=source),
        styles=torch.randint(styles, (batch,), generator=source),
        alpha=alpha,
    )


def fit_decoder(
    encoder: Encoder, images: Tensor, styles: Tensor, settings: Settings, seed: int, resume: Resume
) -> Fitted:
    """Fit a decoder with Adam, the learning rate falling to 0 linearly.

    Step ``i`` draws from a generator keyed by (seed, i), so a resumed fit equals an uninterrupted one bit for bit.
    The resume point is left in place: clear it once the result is written.

    Args:
        encoder: frozen, on the device of ``styles``.
        images: training images, uint8 [N, 3, H, H].
        styles: style images, uint8 [S, 3, size, size].
        settings: iterations, batch, learning rate and loss weights.
        seed: of the initial weights and all draws.
        resume: where the state of an unfinished fit lives.
    """
    decoder = Decoder(encoder.channels, generator(seed, "decoder-weights")).to(styles.device)
    targets = _style_targets(encoder, styles)
    decoder.standardise(targets[-1])
    optimiser = torch.optim.Adam(decoder.parameters(), lr=settings.learning_rate)
    losses, start = torch.zeros(settings.iterations, len(LOSSES), device=styles.device), 0
    if state := resume.load():
        decoder.load_state_dict(state["decoder"])
        optimiser.load_state_dict(state["optimiser"])
        losses, start = state["losses"].to(styles.device), int(state["step"])
    weights = torch.tensor([1.0, settings.style_weight, settings.reconstruction_weight], device=styles.device)
    for step in track(settings.iterations, "fit decoder", start=start):
        draws = draw(len(images), len(styles), settings.batch, generator(seed, "decoder", step))
        optimiser.param_groups[0]["lr"] = settings.learning_rate * (1 - step / settings.iterations)
        parts = _losses(encoder, decoder, _contents(images, styles, draws), targets, draws)
        optimiser.zero_grad(set_to_none=True)
        (parts @ weights).backward()
        optimiser.step()
        losses[step] = parts.detach()
        if resume.due() or step + 1 == settings.iterations:
            resume.save(_state(decoder, optimiser, losses, step + 1))
    return Fitted(decoder.eval().requires_grad_(False), losses.cpu())


def _losses(encoder: Encoder, decoder: Decoder, contents: Tensor, targets: list[Moments], draws: Draws) -> Tensor:
    """The three losses, [3]: relative squared error of the features, of the channel moments, and pixel L1."""
    chosen, alpha = draws.styles.to(contents.device), draws.alpha.to(contents.device)
    with torch.no_grad():
        wanted = adain(encoder.levels(contents)[-1], targets[-1].mean[chosen], targets[-1].std[chosen], alpha)
    pictures = resized(decoder(wanted), contents.shape[-1])
    levels = encoder.levels(pictures)
    content = functional.mse_loss(levels[-1], wanted) / wanted.var()
    style = contents.new_zeros(())
    for level, target in zip(levels, targets, strict=True):
        found = moments(level)
        error = (found.mean - target.mean[chosen]).square() + (found.std - target.std[chosen]).square()
        style = style + (alpha.square() * error.mean(1)).mean()
    return torch.stack([content, style, functional.l1_loss(pictures[::4], contents[::4])])


def _contents(images: Tensor, styles: Tensor, draws: Draws) -> Tensor:
    """Training images and texture crops of their size, float32 [B, 3, H, H] in [0, 1], on the styles' device."""
    side, room = images.shape[-1], styles.shape[-1] - images.shape[-1]
    photographs = images[draws.images.to(images.device)].to(styles.device).float()
    textures = styles[draws.textures.to(styles.device)]
    if room <= 0:
        return torch.cat([photographs, resized(textures.float(), side)]) / 255
    top, left = (draws.corners * (room + 1)).long().to(styles.device).unbind(1)
    span = torch.arange(side, device=styles.device)
    each = torch.arange(len(textures), device=styles.device)[:, None, None]
    crops = textures.permute(0, 2, 3, 1)[each, (top[:, None] + span)[:, :, None], (left[:, None] + span)[:, None, :]]
    return torch.cat([photographs, crops.permute(0, 3, 1, 2).float()]) / 255


def _style_targets(encoder: Encoder, styles: Tensor) -> list[Moments]:
    """Channel moments of all styles at every level: encoded once instead of at each step."""
    with torch.no_grad():
        chunks = [[moments(level) for level in encoder.levels(part.float() / 255)] for part in styles.split(_CHUNK)]
    return [Moments(*(torch.cat(column) for column in zip(*level, strict=True))) for level in zip(*chunks, strict=True)]


def _state(decoder: Decoder, optimiser: torch.optim.Adam, losses: Tensor, step: int) -> dict[str, object]:
    return {"decoder": decoder.state_dict(), "optimiser": optimiser.state_dict(), "losses": losses, "step": step}
