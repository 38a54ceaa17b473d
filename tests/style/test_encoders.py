from __future__ import annotations

import torch
from style_doubles import pictures
from torch.nn import functional

from impasto.models.efficientnet_lite0 import efficientnet_lite0, normalise
from impasto.rng import generator
from impasto.style.bank import encode_styles
from impasto.style.decoder import Decoder
from impasto.style.encoders import EfficientNetLite0Encoder, resized
from impasto.style.procedural import procedural_styles
from impasto.style.stylize import Stylizer


def test_levels_equal_those_of_the_network_away_from_the_border() -> None:
    images = torch.rand(2, 3, 64, 64, generator=generator(0, "test-images"))
    network = efficientnet_lite0()
    stem = network.bn1(network.conv_stem(normalise(images)))
    first, third = network.blocks[1][0], network.blocks[2][0]
    separable = network.blocks[0](stem)
    expected = [stem, first.bn1(first.conv_pw(separable)), third.bn1(third.conv_pw(network.blocks[1](separable)))]
    for found, wanted, channels in zip(
        EfficientNetLite0Encoder(64).levels(images), expected, (32, 96, 144), strict=True
    ):
        assert found.shape == wanted.shape and found.shape[1] == channels
        inside = (..., slice(4, -4), slice(4, -4))
        torch.testing.assert_close(found[inside], wanted[inside], rtol=1e-3, atol=1e-3)


def test_a_plain_image_has_plain_features() -> None:
    plain = torch.full((1, 3, 32, 32), 0.3)
    for level in EfficientNetLite0Encoder(64).levels(plain):
        assert level.flatten(2).std(2).max() < 1e-3  # zero padding would paint a frame


def test_resizing_is_bilinear_and_averages_when_it_shrinks() -> None:
    images = torch.rand(2, 3, 16, 16, generator=generator(0, "test-images"))
    assert resized(images, 16) is images
    torch.testing.assert_close(resized(images, 32), functional.interpolate(images, (32, 32), mode="bilinear"))
    assert (resized(images, 1).flatten(1) - images.mean((2, 3))).abs().max() < 0.1


def test_real_features_do_not_depend_on_the_batch() -> None:
    encoder = EfficientNetLite0Encoder(64)
    assert not any(weights.requires_grad for weights in encoder.parameters())
    bank = encode_styles(procedural_styles(4, 32, 0.08, 0), encoder)
    assert bank.mean.shape == (4, 144)
    painter = Stylizer(encoder, Decoder(144, generator(0, "test-decoder")).eval(), bank)
    images, styles, alpha = pictures(9, 32), torch.arange(9) % 4, torch.linspace(0, 1, 9)
    many = painter(images, styles, alpha).int()
    ones = torch.cat([painter(images[i : i + 1], styles[i : i + 1], alpha[i : i + 1]) for i in range(9)]).int()
    assert (many - ones).abs().max() <= 1 and (many != ones).float().mean() < 2e-3
