"""The procedural frost has the statistics of the photographs, and its severities."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from impasto.corruptions.frost_procedural import ICES, Ice, bank, textures
from impasto.corruptions.registry import corrupt

CPU = torch.device("cpu")
GREY = np.array([0.299, 0.587, 0.114])
SHARES = (0.2, 0.4, 0.2, 0.2)

# Of 32-pixel crops of the photographs at scale .2: grey mean, its standard deviation between crops and within crops,
# slope of the radial power spectrum, and the mean of red, green and blue.
STATISTICS = [
    (131, 11.5, 14.4, -1.3, (78, 149, 166)),
    (204, 9.0, 18.1, -0.8, (201, 205, 214)),
    (158, 10.4, 26.2, -0.45, (138, 153, 165)),
    (115, 16.4, 34.1, -1.15, (112, 123, 135)),
]


def crops_of(kind: int, scale: float, side: int, count: int = 400) -> NDArray[np.uint8]:
    """Crops [N, side, side, 3] of the textures of one kind."""
    pictures = bank(scale, (side, side), CPU).pictures
    first, end = (round(sum(SHARES[:last]) * len(pictures)) for last in (kind, kind + 1))
    generator = np.random.default_rng(1)
    period = pictures.shape[2] - side
    places = generator.integers((first, 0, 0), (end, period, period), (count, 3))
    cut = [pictures[n, :, y : y + side, x : x + side] for n, y, x in places.tolist()]
    return torch.stack(cut).permute(0, 2, 3, 1).numpy()


def slope(grey: NDArray[np.float64]) -> float:
    """Exponent of the radial power spectrum of crops [N, S, S], from 2 cycles per crop up."""
    side = grey.shape[1]
    window = np.hanning(side)[:, None] * np.hanning(side)
    spectrum = np.fft.fft2((grey - grey.mean(axis=(1, 2), keepdims=True)) * window)
    power = (np.abs(spectrum) ** 2).mean(axis=0)
    cycles = np.fft.fftfreq(side) * side
    radius = np.rint(np.hypot(cycles[:, None], cycles)).astype(int)
    rings = np.arange(2, side // 2)
    return float(np.polyfit(np.log(rings), np.log([power[radius == ring].mean() for ring in rings]), 1)[0])


@pytest.mark.parametrize("kind", range(4))
def test_statistics_are_those_of_the_photographs(kind: int) -> None:
    mean, across, within, exponent, colour = STATISTICS[kind]
    crops = crops_of(kind, 0.2, 32)
    grey = crops @ GREY
    assert grey.mean() == pytest.approx(mean, abs=4)
    assert grey.mean(axis=(1, 2)).std() == pytest.approx(across, rel=0.15)
    assert grey.std(axis=(1, 2)).mean() == pytest.approx(within, rel=0.1)
    assert slope(grey) == pytest.approx(exponent, abs=0.2)
    assert crops.mean(axis=(0, 1, 2)) == pytest.approx(colour, abs=9)
    red_green, red_blue, _ = np.corrcoef(crops.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    expected = (0.82, 0.57) if kind == 0 else (1, 1)
    assert (red_green, red_blue) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(("scale", "side"), [(0.3, 64), (1, 224)])
def test_statistics_hold_at_the_other_scales(scale: float, side: int) -> None:
    for kind, (mean, _, within, _, _) in enumerate(STATISTICS):
        grey = crops_of(kind, scale, side, count=60) @ GREY
        assert grey.mean() == pytest.approx(mean, abs=5)
        assert grey.std(axis=(1, 2)).mean() == pytest.approx(within, rel=0.12)


def test_kinds_have_the_shares_of_the_photographs() -> None:
    assert [ice.share / sum(each.share for each in ICES) for ice in ICES] == pytest.approx(SHARES)
    assert isinstance(ICES[0], Ice)
    for scale, count in ((0.2, 40), (0.3, 20), (1, 10)):
        assert len(textures(scale)) == count


def test_textures_are_periodic_and_differ() -> None:
    pictures = textures(0.2)
    side = pictures.shape[2]
    continued = bank(0.2, (40, 200), CPU).pictures
    assert torch.equal(continued[:, :, side:, :side], pictures[:, :, :40])
    assert torch.equal(continued[:, :, :side, side : 2 * side], pictures)
    inner = (pictures[..., 1:].int() - pictures[..., :-1].int()).abs().double().mean()
    seam = (pictures[..., 0].int() - pictures[..., -1].int()).abs().double().mean()
    assert seam == pytest.approx(inner.item(), rel=0.1)
    assert len({picture.numpy().tobytes() for picture in pictures}) == len(pictures)


def test_severities_match_those_of_frost(real_images: Tensor) -> None:
    clean, ids = real_images.double(), torch.arange(len(real_images))
    for severity, expected in enumerate((18.39, 15.05, 14.02, 14.59, 14.96), start=1):
        error = (corrupt(real_images, "frost_procedural", severity, 0, ids) - clean).square().mean(dim=(1, 2, 3))
        assert (10 * torch.log10(255**2 / error)).mean().item() == pytest.approx(expected, abs=1)


def test_images_of_any_size() -> None:
    for size in ((16, 16), (17, 40), (300, 200)):
        grey = torch.full((6, 3, *size), 100, dtype=torch.uint8)
        result = corrupt(grey, "frost_procedural", 3, seed=0, ids=torch.arange(6), table="cifar")
        assert result.shape == grey.shape
        assert (result.double().std(dim=(2, 3)) > 2).all()
