"""-C-bar against its definition image by image, with the definition's own draws injected."""

from typing import Any

import cbar_reference as reference
import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.corruptions.catalogue import CATALOGUE
from impasto.corruptions.cbar.caustic import Water
from impasto.corruptions.cbar.occlusions import Board, Strokes
from impasto.corruptions.cbar.perlin import lattice
from impasto.corruptions.cbar.sparkles import Stars
from impasto.corruptions.cbar.warps import Waves
from impasto.corruptions.cbar.waves import PlaneWave, Plasma, Rings
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.registry import corrupt, names, parameters_of
from impasto.corruptions.sets import C19, C_BAR, C_BAR15

F64 = torch.float64
Draws = list[dict[str, Any]]


def column(draws: Draws, name: str) -> Tensor:
    return torch.from_numpy(np.stack([np.asarray(each[name]) for each in draws]))


def columns(draws: Draws, *names: str) -> list[Tensor]:
    return [column(draws, name) for name in names]


def stars(draws: list[Draws]) -> Stars:
    normals = np.zeros((len(draws), len(draws[0]), 199))
    for b, k in np.ndindex(normals.shape[:2]):
        values = draws[b][k]["normals"]
        normals[b, k, : len(values)] = values
    centres = torch.stack([column(each, "centre") for each in draws])
    rays = torch.tensor([[len(star["normals"]) for star in each] for each in draws])
    return Stars(centres, rays, torch.from_numpy(normals))


def spectrum(draws: list[Draws], size: tuple[int, int]) -> Tensor:
    def phases(left: np.ndarray, middle: np.ndarray) -> np.ndarray:
        return np.concatenate((left.T.ravel(), middle if size[1] % 2 else middle[:0]))

    numbers = [[np.exp(1j * phases(**channel)) for channel in each] for each in draws]
    return torch.from_numpy(np.stack(numbers))


def board(draws: Draws, size: tuple[int, int]) -> Board:
    reach = 20
    index = np.arange(-reach, reach + 1)
    chances = [each["chances"].take(index, 0, mode="wrap").take(index, 1, mode="wrap") for each in draws]
    return Board(column(draws, "angle"), column(draws, "cell"), torch.from_numpy(np.stack(chances)))


def gradients(draws: Draws, size: tuple[int, int]) -> Tensor:
    points = lattice(*size, torch.device("cpu"))
    where = points.rows.numpy(), points.columns.numpy()
    each = [reference.perlin_gradients(*where, **one) for one in draws]
    exact = np.round(np.stack(each) * 2**24) * 2.0**-24
    return torch.from_numpy(np.ascontiguousarray(exact.transpose(2, 1, 0)))


def inject(name: str, draws: Draws, size: tuple[int, int]) -> Any:
    """Ours from the draws of the reference, image by image."""
    match name:
        case "blue_noise_sample":
            return spectrum([[each] for each in draws], size)
        case "brownish_noise":
            return spectrum([each["channels"] for each in draws], size)
        case "sparkles":
            return stars([each["stars"] for each in draws])
        case "inverse_sparkles":
            return stars([[each] for each in draws])
        case "ripple":
            return Waves(*columns(draws, "lengths", "phases"))
        case "pinch_and_twirl":
            return column(draws, "senses") < 0
        case "transverse_chromatic_abberation":
            return column(draws, "order")
        case "checkerboard_cutout":
            return board(draws, size)
        case "lines":
            return Strokes(*columns(draws, "middles", "angles"))
        case "single_frequency_greyscale":
            return PlaneWave(*columns(draws, "frequencies", "phase"))
        case "cocentric_sine_waves":
            return Rings(*columns(draws, "centre", "lobes", "amplitude", "width"))
        case "plasma_noise":
            return Plasma(*columns(draws, "time", "iterations", "sharpness", "scale"))
        case "perlin_noise":
            return gradients(draws, size)
        case "caustic_refraction":
            return Water(*columns(draws, "time", "scale"))
    raise AssertionError(name)


def both(name: str, images: Tensor, severity: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ours and the reference's results on the same draws, int [B, 3, H, W]."""
    rng, size = np.random.default_rng(seed), tuple(images.shape[2:])
    draws = [getattr(reference, f"draw_{name}")(rng, size, severity) for _ in images]
    given = () if CATALOGUE[name].draw is None else (inject(name, draws, size),)
    ours = CATALOGUE[name].operation(images, *given, severity, dtype=F64)
    pictures = images.permute(0, 2, 3, 1).numpy()
    theirs = [
        getattr(reference, name)(picture, severity, **each) for picture, each in zip(pictures, draws, strict=True)
    ]
    return ours.numpy().astype(int), np.stack(theirs).transpose(0, 3, 1, 2).astype(int)


# The share of values that may differ, by one grey level: sums of the original are in float32 or tie at a half.
SHARES = {"circular_motion_blur": 5e-4, "transverse_chromatic_abberation": 0.012}


def test_the_documentation_claims_what_is_held_here(claims: dict[str, tuple[int, float]]) -> None:
    held = {name: (int(name in SHARES), SHARES.get(name, 0.0)) for name in C_BAR15}
    assert {name: claims[name] for name in held} == held


def made(count: int, size: tuple[int, int]) -> Tensor:
    """Noise, but for a black, a white, a grey and a flat image and one of ramps."""
    batch = torch.randint(0, 256, (count, 3, *size), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    batch[0], batch[1], batch[2] = 0, 255, 128
    batch[3] = batch[3, :, :1, :1]
    batch[4] = torch.arange(size[1]).mul(5).remainder(256)
    return batch


@pytest.mark.parametrize("size", [(32, 32), (16, 16), (17, 40), (33, 31)])
@pytest.mark.parametrize("name", C_BAR15)
def test_each_is_its_definition(name: str, size: tuple[int, int]) -> None:
    images = made(7, size)
    for severity in range(1, 6):
        for table in C_BAR:
            ours, theirs = both(name, images, *parameters_of(name, severity, table), seed=severity)
            allowed = SHARES.get(name, 0)
            assert (ours != theirs).mean() <= allowed, f"severity {severity} of {table}"
            assert np.abs(ours - theirs).max() <= (allowed > 0)
            if name != "lines":
                assert (theirs != images.numpy()).any()


@pytest.mark.parametrize("name", ["caustic_refraction", "pinch_and_twirl", "perlin_noise", "lines"])
def test_each_is_its_definition_at_64_pixels(name: str) -> None:
    ours, theirs = both(name, made(6, (64, 64)), *parameters_of(name, 3, "tin"))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", C_BAR15)
def test_each_is_its_definition_on_photographs(real_images: Tensor, name: str) -> None:
    ours, theirs = both(name, real_images[::2].contiguous(), *parameters_of(name, 3, "cifar"))
    assert (ours != theirs).mean() <= SHARES.get(name, 0)
    assert np.abs(ours - theirs).max() <= (name in SHARES)


def test_five_whirls_per_side_from_224_pixels() -> None:
    ours, theirs = both("pinch_and_twirl", made(5, (224, 224))[4:], 6.5)
    assert np.array_equal(ours, theirs)


def free(name: str, images: Tensor, severity: int, **options: Any) -> Tensor:
    return corrupt(images, name, severity, seed=4, ids=torch.arange(len(images)) * 3 + 2**33, **options)


@pytest.mark.parametrize("name", C_BAR15)
def test_result_is_independent_of_the_batch_off_the_square(name: str) -> None:
    images = made(24, (17, 40)).repeat(5, 1, 1, 1)  # more than one chunk
    ids = torch.arange(len(images)) * 3 + 2**33
    for severity in (1, 5):
        batch = free(name, images, severity)
        for row in (0, 3, 96, 119):
            one = slice(row, row + 1)
            assert torch.equal(corrupt(images[one], name, severity, seed=4, ids=ids[one])[0], batch[row])
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
        assert torch.equal(corrupt(images[order], name, severity, seed=4, ids=ids[order]), batch[order])


@pytest.mark.parametrize("name", C_BAR15)
def test_float32_stays_close(name: str) -> None:
    images = made(16, (32, 32))
    single, double = (free(name, images, 3, work_dtype=each).int() for each in (torch.float32, F64))
    assert (single != double).double().mean() < 0.01


def test_blue_noise_drops_more_and_more_pixels() -> None:
    white = torch.full((200, 3, 32, 32), 255, dtype=torch.uint8)
    dropped = [(free("blue_noise_sample", white, s, table="cifar") == 0).double().mean().item() for s in range(1, 6)]
    assert dropped == pytest.approx([0.01, 0.02, 0.03, 0.07, 0.11], abs=0.006)


def test_brownish_noise_has_its_standard_deviation() -> None:
    grey = torch.full((200, 3, 32, 32), 128, dtype=torch.uint8)
    noisy = free("brownish_noise", grey, 1, table="cifar").double()
    assert noisy.std(dim=(2, 3)).mean().item() == pytest.approx(16, abs=0.1)
    assert abs(np.corrcoef(noisy[:, 0].flatten(), noisy[:, 1].flatten())[0, 1]) < 0.05


def test_draws_fill_their_ranges() -> None:
    rng, size = CounterRng(3, torch.arange(4000)), (32, 48)
    stars = CATALOGUE["sparkles"].draw(rng, size, (1.0,))
    assert (stars.rays.min(), stars.rays.max()) == (50, 199)
    assert stars.centres.amax(dim=(0, 1)).tolist() == pytest.approx([32, 48], abs=0.1)
    stars = CATALOGUE["inverse_sparkles"].draw(rng, size, (1.0,))
    assert stars.centres.amin(dim=(0, 1)).tolist() == pytest.approx([8, 12], abs=0.1)
    assert stars.centres.amax(dim=(0, 1)).tolist() == pytest.approx([24, 36], abs=0.1)
    plasma = CATALOGUE["plasma_noise"].draw(rng, size, (1.0,))
    assert plasma.iterations.bincount()[4:].div(4000).tolist() == pytest.approx([1 / 3] * 3, abs=0.04)
    orders = CATALOGUE["transverse_chromatic_abberation"].draw(rng, size, (1.0,))
    assert len(orders.unique(dim=0)) == 6
    assert torch.equal(orders.sort(dim=1).values, torch.arange(3).expand(4000, 3))
    board = CATALOGUE["checkerboard_cutout"].draw(rng, size, (1.0,))
    side = (32 * 48) ** 0.5
    assert board.cells.min() >= 0.1 * side
    assert board.cells.max() <= 0.25 * side
    assert (np.hypot(31, 47) / board.cells.min()).item() < board.chances.shape[1] // 2 + 1


def test_names_and_constants() -> None:
    assert names() == (*C19, "frost_procedural", *C_BAR15)
    assert len(C_BAR15) == 15
    severities = {name: [parameters_of(name, s, "cifar")[0] for s in range(1, 6)] for name in C_BAR15}
    assert severities["sparkles"] == [0.7, 3.5, 5.6, 6.3, 7]
    assert severities["caustic_refraction"] == [2.35, 3.2, 4.9, 6.6, 9.15]
    for table in ("tin", "imagenet"):
        assert [parameters_of("sparkles", s, table) for s in range(1, 6)] == [(1,), (2,), (3,), (5,), (6,)]
        assert [parameters_of("ripple", s, table)[0] for s in range(1, 6)] == severities["ripple"]
