"""The published networks: what a by-hand composition over the file's own names computes, and torchvision's VGG-19."""

from __future__ import annotations

import pytest
import torch
from adain_files import DECODER, ENCODER, decode, encode, random_weights
from style_doubles import pictures
from torch import Tensor
from torchvision.models import vgg19

from impasto.checkpoint import Resume
from impasto.config.style import Decoder as Settings
from impasto.rng import generator
from impasto.style.bank import encode_styles
from impasto.style.encoders import resized
from impasto.style.fit import fit_decoder
from impasto.style.stylize import Stylizer
from impasto.style.vgg import Vgg19Encoder, VggDecoder, decoder_shapes, encoder_shapes, published_encoder_shapes

WEIGHTS = random_weights({number: size for number, size in ENCODER.items() if number < 31})
DECODER_WEIGHTS = random_weights(DECODER, seed=1)


def images(count: int, side: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=generator(seed, "test-images"))


def numbers(tensors: dict[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


def test_as_many_parameters_as_published() -> None:
    encoder, decoder = Vgg19Encoder(32, WEIGHTS), VggDecoder(DECODER_WEIGHTS)
    assert sum(weights.numel() for weights in encoder.parameters()) == 3_505_740
    assert sum(weights.numel() for weights in decoder.parameters()) == 3_505_219
    assert sum(shape.numel() for shape in published_encoder_shapes().values()) == 20_024_396
    assert len(encoder.layers) == 31 and len(decoder.layers) == 29


def test_the_names_and_shapes_are_those_of_the_files() -> None:
    for wanted, layout in ((published_encoder_shapes(), ENCODER), (decoder_shapes(), DECODER)):
        expected = {f"{n}.weight": (o, i, side, side) for n, (o, i, side) in layout.items()}
        expected |= {f"{n}.bias": (o,) for n, (o, _, _) in layout.items()}
        assert {name: tuple(shape) for name, shape in wanted.items()} == expected
    assert encoder_shapes() == {name: published_encoder_shapes()[name] for name in WEIGHTS}


@pytest.mark.parametrize("upscale", [16, 20, 56])
def test_levels_equal_a_composition_by_hand(upscale: int) -> None:
    content = images(2, 12)
    found = Vgg19Encoder(upscale, WEIGHTS).levels(content)
    expected = encode(WEIGHTS, resized(content, upscale))
    sides = [upscale, upscale // 2, -(-upscale // 4), -(-upscale // 8)]
    assert [level.shape for level in found] == [(2, c, s, s) for c, s in zip((64, 128, 256, 512), sides, strict=True)]
    for one, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(one, wanted, rtol=1e-4, atol=1e-4)
        assert wanted.std() > 0.1


def test_away_from_the_border_it_is_torchvisions_vgg() -> None:
    """Which pads with zeros: relu3_1 sees 12 px beyond its own on each side."""
    with torch.device("meta"):
        features = vgg19(weights=None).features[:12]  # to relu3_1
    ours = [n for n in ENCODER if 0 < n <= 16]
    theirs = [number for number, layer in enumerate(features) if isinstance(layer, torch.nn.Conv2d)]
    renamed = {
        f"{b}.{leaf}": WEIGHTS[f"{a}.{leaf}"] for a, b in zip(ours, theirs, strict=True) for leaf in ("weight", "bias")
    }
    features.load_state_dict(renamed, assign=True)
    content = images(2, 64)
    plain = torch.einsum("oi,bihw->bohw", WEIGHTS["0.weight"][:, :, 0, 0], content) + WEIGHTS["0.bias"][:, None, None]
    inside = (..., slice(4, -4), slice(4, -4))
    with torch.no_grad():
        found = Vgg19Encoder(64, WEIGHTS).levels(content)[2]
        torch.testing.assert_close(found[inside], features(plain)[inside], rtol=1e-4, atol=1e-4)


def test_the_decoder_equals_a_composition_by_hand_and_is_not_bounded() -> None:
    features = torch.randn(2, 512, 3, 4, generator=generator(0, "test-features"))
    found = VggDecoder(DECODER_WEIGHTS)(features)
    assert found.shape == (2, 3, 24, 32) and found.min() < 0 and found.max() > 1
    torch.testing.assert_close(found, decode(DECODER_WEIGHTS, features), rtol=1e-4, atol=1e-4)


def test_loading_draws_nothing_and_freezes() -> None:
    before = torch.get_rng_state()
    encoder, decoder = Vgg19Encoder(32, WEIGHTS), VggDecoder(DECODER_WEIGHTS)
    assert torch.equal(before, torch.get_rng_state())
    assert not any(weights.requires_grad for part in (encoder, decoder) for weights in part.parameters())
    assert not encoder.training and not decoder.training


def test_paints_pictures_of_the_images_own_size_in_any_batch() -> None:
    encoder, decoder = Vgg19Encoder(32, WEIGHTS), VggDecoder(DECODER_WEIGHTS)
    bank = encode_styles(pictures(3, 32, seed=2), encoder)
    assert bank.mean.shape == (3, 512)
    painter, contents = Stylizer(encoder, decoder, bank), pictures(5, 16)
    styles, alpha = torch.arange(5) % 3, torch.linspace(0, 1, 5)
    many = painter(contents, styles, alpha)
    assert many.shape == contents.shape and many.float().std() > 20
    ones = torch.cat([painter(contents[i : i + 1], styles[i : i + 1], alpha[i : i + 1]) for i in range(5)])
    assert (many.int() - ones.int()).abs().max() <= 1


def test_a_small_decoder_can_be_fitted_to_it(resume: Resume, settings: Settings) -> None:
    encoder = Vgg19Encoder(16, WEIGHTS)
    few = settings.model_copy(update={"iterations": 2, "batch": 4})
    fitted = fit_decoder(encoder, pictures(4), pictures(3, 24, seed=1), few, 0, resume)
    assert fitted.losses.isfinite().all() and (fitted.losses > 0).all()
    assert fitted.decoder(encoder.levels(images(1, 16))[-1]).shape == (1, 3, 4, 4)
