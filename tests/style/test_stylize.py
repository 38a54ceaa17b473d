from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from style_doubles import RandomEncoder, pictures
from torch import Tensor, nn

from impasto.config.style import Difference, Style
from impasto.errors import ImpastoError
from impasto.rng import generator
from impasto.style.adain import moments
from impasto.style.bank import StyleBank, encode_styles
from impasto.style.decoder import Decoder, load_decoder
from impasto.style.encoders import ENCODERS
from impasto.style.stylize import BANK, DECODER, Recolourer, Stylizer, load_painter


@pytest.fixture
def bank(encoder: RandomEncoder, styles: Tensor) -> StyleBank:
    return encode_styles(styles, encoder)


@pytest.fixture
def decoder() -> Decoder:
    network = Decoder(RandomEncoder.channels, generator(0, "test-decoder")).eval()
    with torch.no_grad():
        network.layers[-2].weight.mul_(5)  # strong pictures: a difference would show
    return network


@pytest.fixture
def painter(encoder: RandomEncoder, decoder: Decoder, bank: StyleBank) -> Stylizer:
    return Stylizer(encoder, decoder, bank)


def _plan(count: int) -> tuple[Tensor, Tensor]:
    source = generator(0, "test-plan")
    return torch.randint(5, (count,), generator=source), torch.rand(count, generator=source)


class Constant(nn.Module):
    """Stands for a decoder without a bounded output."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.picture = picture

    def forward(self, features: Tensor) -> Tensor:
        return self.picture.expand(len(features), -1, -1, -1)


def test_a_batch_of_one_equals_a_batch_of_many(painter: Stylizer) -> None:
    images, (styles, alpha) = pictures(40), _plan(40)
    many = painter(images, styles, alpha).int()
    ones = torch.cat([painter(images[i : i + 1], styles[i : i + 1], alpha[i : i + 1]) for i in range(40)]).int()
    assert many.float().std() > 5
    assert (many - ones).abs().max() <= 1 and (many != ones).float().mean() < 1e-3


def test_chunks_leave_no_trace(painter: Stylizer, encoder: RandomEncoder, decoder: Decoder, bank: StyleBank) -> None:
    images, (styles, alpha) = pictures(40), _plan(40)
    small = Stylizer(encoder, decoder, bank, chunk=7)(images, styles, alpha).int()
    difference = (small - painter(images, styles, alpha).int()).abs()
    assert difference.max() <= 1 and (difference > 0).float().mean() < 1e-3


def test_an_empty_batch_stays_empty(painter: Stylizer) -> None:
    empty = painter(pictures(1)[:0], torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    assert empty.shape == (0, 3, 16, 16) and empty.dtype == torch.uint8


def test_zero_strength_is_the_autoencoder(painter: Stylizer, encoder: RandomEncoder, decoder: Decoder) -> None:
    images, (styles, _) = pictures(12), _plan(12)
    features = encoder.levels(images.float() / 255)[-1]
    expected = (decoder(features) * 255).round().to(torch.uint8)
    assert torch.equal(painter(images, styles, torch.zeros(12)), expected)


def test_strength_and_style_belong_to_each_image(painter: Stylizer) -> None:
    images, alpha = pictures(1).expand(3, -1, -1, -1), torch.tensor([0.0, 1.0, 1.0])
    plain, first, second = painter(images, torch.tensor([0, 0, 1]), alpha)
    assert not torch.equal(plain, first) and not torch.equal(first, second)


def test_pixels_are_clamped_and_not_wrapped(encoder: RandomEncoder, bank: StyleBank) -> None:
    picture = torch.tensor([-0.3, 0.5, 1.4]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    painted = Stylizer(encoder, Constant(picture), bank)(pictures(2), torch.zeros(2, dtype=torch.int64), torch.ones(2))
    assert painted[0, :, 0, 0].tolist() == [0, 128, 255]


def test_shrinking_the_picture_averages_what_is_clamped(encoder: RandomEncoder, bank: StyleBank) -> None:
    checker = 2 * (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).float().expand(1, 3, 64, 64)
    painted = Stylizer(encoder, Constant(checker), bank)(pictures(1), torch.zeros(1, dtype=torch.int64), torch.ones(1))
    assert painted.shape == (1, 3, 16, 16)
    assert (painted[..., 1:-1, 1:-1].float() - 127.5).abs().max() < 3


def test_bfloat16_stays_close(painter: Stylizer, encoder: RandomEncoder, decoder: Decoder, bank: StyleBank) -> None:
    images, (styles, alpha) = pictures(20), _plan(20)
    rounded = Stylizer(encoder, decoder, bank, "bf16")(images, styles, alpha).float()
    assert (rounded - painter(images, styles, alpha)).abs().mean() < 3


def test_recolouring_moves_the_moments_of_colour_and_keeps_the_shape(bank: StyleBank) -> None:
    images = (96 + pictures(1) // 4).expand(5, -1, -1, -1)
    gentle = bank._replace(rgb_mean=bank.rgb_mean * 0 + 0.5, rgb_std=torch.linspace(0.05, 0.1, 5)[:, None].expand(5, 3))
    painted = Recolourer(gentle)(images, torch.arange(5), torch.ones(5))
    found = moments(painted.float() / 255)
    torch.testing.assert_close(found.mean, gentle.rgb_mean, rtol=0, atol=3e-3)
    torch.testing.assert_close(found.std, gentle.rgb_std, rtol=0, atol=4e-3)
    correlation = torch.corrcoef(torch.stack([painted[0, 0].flatten().float(), images[0, 0].flatten().float()]))[0, 1]
    assert correlation > 0.999


def test_recoloured_pixels_are_clamped_and_not_wrapped(bank: StyleBank) -> None:
    harsh = bank._replace(rgb_std=bank.rgb_std * 0 + 2)
    images = pictures(1)
    painted = Recolourer(harsh)(images, torch.zeros(1, dtype=torch.int64), torch.ones(1))
    brightest, darkest = images[0, 0].argmax(), images[0, 0].argmin()
    assert painted[0, 0].flatten()[brightest] == 255 and painted[0, 0].flatten()[darkest] == 0


def test_recolouring_at_strength_zero_is_the_identity(bank: StyleBank) -> None:
    images = pictures(5)
    assert torch.equal(Recolourer(bank)(images, torch.arange(5), torch.zeros(5)), images)


def test_a_decoder_survives_its_file(tmp_path: Path, decoder: Decoder) -> None:
    decoder.save(tmp_path / "decoder.safetensors")
    features = torch.rand(2, RandomEncoder.channels, 4, 4, generator=generator(0, "test-features"))
    assert torch.equal(load_decoder(tmp_path / "decoder.safetensors")(features), decoder(features))
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    with pytest.raises(ImpastoError, match="no style decoder"):
        load_decoder(tmp_path / "broken.safetensors")


def test_a_saved_model_paints_as_the_one_in_memory(
    tmp_path: Path, painter: Stylizer, encoder: RandomEncoder, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter.bank.save(tmp_path / BANK)
    decoder.save(tmp_path / DECODER)
    monkeypatch.setitem(ENCODERS, "efficientnet_lite0", lambda upscale: encoder)
    images, plan = pictures(6), _plan(6)
    loaded = load_painter(tmp_path, _parameters("adain"), torch.device("cpu"), "fp32")
    assert torch.equal(loaded(images, *plan), painter(images, *plan))
    published = Stylizer(encoder, decoder, painter.bank, faithful=get_args(Difference))
    faithful = load_painter(tmp_path, _parameters("adain", faithful=True), torch.device("cpu"), "fp32")
    small = pictures(6, 4)  # shrunk after painting, which is where the two differ
    assert torch.equal(faithful(small, *plan), published(small, *plan))
    assert not torch.equal(faithful(small, *plan), loaded(small, *plan))
    control = load_painter(tmp_path, _parameters("colour"), torch.device("cpu"), "fp32")
    assert torch.equal(control(images, *plan), Recolourer(painter.bank)(images, *plan))


def _parameters(method: str, faithful: bool = False) -> Style:
    """What load_painter reads; reading anything else is an error."""
    return Style.model_construct(method=method, encoder="efficientnet_lite0", upscale=32, faithful=faithful)
