from __future__ import annotations

from typing import Any

import pytest
import torch
from style_doubles import RandomEncoder
from torch import Tensor

from impasto.checkpoint import Resume
from impasto.config.style import Decoder as Settings
from impasto.rng import generator
from impasto.style import fit
from impasto.style.fit import draw, fit_decoder


def test_a_killed_fit_resumes_to_the_same_bits(
    encoder: RandomEncoder,
    images: Tensor,
    styles: Tensor,
    settings: Settings,
    resume: Resume,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = fit_decoder(encoder, images, styles, settings, 3, Resume("style-decoder", "whole"))

    monkeypatch.setattr(resume, "due", lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr(fit, "draw", _killed_after(4))
        with pytest.raises(KeyboardInterrupt):
            fit_decoder(encoder, images, styles, settings, 3, resume)
    state = resume.load()
    assert state is not None and state["step"] == 4

    resumed = fit_decoder(encoder, images, styles, settings, 3, resume)
    assert torch.equal(whole.losses, resumed.losses)
    for name, weights in whole.decoder.state_dict().items():
        assert torch.equal(weights, resumed.decoder.state_dict()[name]), name


def _killed_after(steps: int) -> Any:
    left = iter(range(steps))

    def killed(*arguments: Any) -> fit.Draws:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return draw(*arguments)

    return killed


def test_a_finished_fit_is_not_repeated(
    encoder: RandomEncoder,
    images: Tensor,
    styles: Tensor,
    settings: Settings,
    resume: Resume,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = fit_decoder(encoder, images, styles, settings, 3, resume)
    monkeypatch.setattr(fit, "draw", _killed_after(0))
    again = fit_decoder(encoder, images, styles, settings, 3, resume)
    assert torch.equal(first.losses, again.losses) and not again.decoder.training


def test_another_seed_is_another_decoder(
    encoder: RandomEncoder, images: Tensor, styles: Tensor, settings: Settings, resume: Resume
) -> None:
    first = fit_decoder(encoder, images, styles, settings, 0, resume)
    other = fit_decoder(encoder, images, styles, settings, 1, Resume("style-decoder", "other"))
    assert not torch.equal(first.losses, other.losses)


def test_fitting_lowers_every_loss(encoder: RandomEncoder, images: Tensor, styles: Tensor, resume: Resume) -> None:
    settings = Settings(
        source="fitted",
        weights=None,
        iterations=150,
        batch=8,
        learning_rate=3e-3,
        style_weight=10.0,
        reconstruction_weight=10.0,
    )
    losses = fit_decoder(encoder, images, styles, settings, 0, resume).losses
    first, last = losses[:3].mean(0), losses[-20:].mean(0)
    assert (last < first).all()  # reconstruction falls little: this encoder keeps 10 numbers of 48 pixels
    assert last @ torch.tensor([1.0, 10.0, 10.0]) < 0.3 * first @ torch.tensor([1.0, 10.0, 10.0])


def test_a_quarter_is_reconstructed_and_a_quarter_are_textures() -> None:
    draws = draw(100, 7, 16, generator(0, "test-draw"))
    assert (draws.alpha == 0).sum() == 4 and (draws.alpha[::4] == 0).all() and draws.alpha.max() < 1
    assert len(draws.images) == 12 and len(draws.textures) == 4
    assert draws.images.max() < 100 and draws.styles.max() < 7 and len(draws.styles) == 16


@pytest.mark.parametrize("size", [24, 16, 12])
def test_textures_are_crops_of_styles_or_resized(images: Tensor, size: int) -> None:
    draws = draw(len(images), 2, 8, generator(0, "test-crops"))
    styles = torch.arange(size * size).view(1, 1, size, size).expand(2, 3, size, size).remainder(251).to(torch.uint8)
    contents = fit._contents(images, styles, draws)
    assert contents.shape == (8, 3, 16, 16) and contents.max() <= 1
    assert torch.equal(contents[:6], images[draws.images].float() / 255)
    if size == 24:
        windows = styles[0, 0].unfold(0, 16, 1).unfold(1, 16, 1).reshape(-1, 16, 16).float() / 255
        assert all((windows == crop[0]).flatten(1).all(1).any() for crop in contents[6:])
