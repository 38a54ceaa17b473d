"""``corrupt``: independence of the batch, constants, truncation, and what it refuses."""

import copy
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from impasto import rng
from impasto.corruptions import noise
from impasto.corruptions.catalogue import CATALOGUE
from impasto.corruptions.cbar_tables import CBAR_TABLES
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.registry import corrupt, names, parameters_of
from impasto.corruptions.sets import C_BAR15
from impasto.corruptions.tables import SIDES, TABLES, table_for
from impasto.errors import ImpastoError

STOCHASTIC = {
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "glass_blur",
    "motion_blur",
    "snow",
    "fog",
    "frost",
    "frost_procedural",
    "elastic_transform",
    "spatter",
}
STOCHASTIC |= set(C_BAR15) - {"circular_motion_blur"}


def test_names_tables_and_catalogue_agree() -> None:
    assert set(names()) == set(CATALOGUE)
    assert {name for name in names() if CATALOGUE[name].stochastic} == STOCHASTIC
    assert set(TABLES) == set(CBAR_TABLES) == set(SIDES)
    for benchmark in SIDES:
        table = TABLES[benchmark] | CBAR_TABLES[benchmark]
        assert set(table) == set(names())
        for severities in table.values():
            assert len(severities) == len(set(severities)) == 5
            assert len({len(parameters) for parameters in severities}) == 1


@pytest.mark.parametrize("name", names())
def test_result_has_memory_of_its_own(images: Tensor, name: str) -> None:
    """One chunk is handed out as the operation made it."""
    given = images[:2].flip(3).clone()
    result = corrupt(given, name, 1, seed=4, ids=torch.arange(2))
    assert result.is_contiguous()
    assert result.untyped_storage().data_ptr() != given.untyped_storage().data_ptr()
    assert result.untyped_storage().nbytes() == result.numel()
    assert torch.equal(given, images[:2].flip(3))


@pytest.mark.parametrize("name", names())
def test_result_is_independent_of_the_batch(images: Tensor, name: str) -> None:
    images = images.repeat(11, 1, 1, 1)[:257]  # more than four chunks
    ids = torch.arange(257) * 3 + 2**33
    batch = corrupt(images, name, 5, seed=4, ids=ids)
    assert batch.dtype == torch.uint8
    assert batch.shape == images.shape
    for row in (0, 5, 63, 64, 256):
        one = slice(row, row + 1)
        assert torch.equal(corrupt(images[one], name, 5, seed=4, ids=ids[one])[0], batch[row])
    order = torch.randperm(257, generator=torch.Generator().manual_seed(1))
    assert torch.equal(corrupt(images[order], name, 5, seed=4, ids=ids[order]), batch[order])
    channels_last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(corrupt(channels_last, name, 5, seed=4, ids=ids), batch)


@pytest.mark.parametrize("name", names())
def test_draws_depend_on_seed_severity_and_id(name: str) -> None:
    images = torch.randint(40, 200, (4, 3, 32, 32), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    untouched, ids = images.clone(), torch.arange(4) * 10
    here = corrupt(images, name, 3, seed=0, ids=ids)
    for seed, step in ((1, 0), (0, 1)):
        there = corrupt(images, name, 3, seed=seed, ids=ids + step)
        assert torch.equal(here, there) == (name not in STOCHASTIC)
    assert torch.equal(images, untouched)


def test_draws_are_those_of_the_key(images: Tensor) -> None:
    ids = torch.arange(len(images))
    stream = CounterRng(rng.key(6, "corruption", "gaussian_noise", 2), ids)
    draws = noise.draw_normals(stream, (32, 32), ())
    expected = noise.gaussian_noise(images, draws.clone(), 0.06, dtype=torch.float32)
    result = corrupt(images, "gaussian_noise", 2, seed=6, ids=ids, work_dtype=torch.float32)
    assert torch.equal(result, expected)


@pytest.mark.parametrize("name", sorted(STOCHASTIC))
def test_operations_leave_their_draws_alone(images: Tensor, name: str) -> None:
    chosen, parameters = CATALOGUE[name], parameters_of(name, 3, "cifar")
    assert chosen.draw is not None
    draws = chosen.draw(CounterRng(1, torch.arange(len(images))), (32, 32), parameters)
    before, inputs = copy.deepcopy(draws), images.clone()
    for dtype in (torch.float32, torch.float64):
        precision = {} if chosen.integer else {"dtype": dtype}
        chosen.operation(images, draws, *parameters, **precision)
    for draw, untouched in zip(tree_leaves(draws), tree_leaves(before), strict=True):
        assert torch.equal(draw, untouched)
    assert torch.equal(images, inputs)


def test_another_process_gives_the_same_bytes() -> None:
    program = (
        "import torch; from impasto.corruptions.registry import corrupt;"
        "x = torch.arange(3072).remainder(251).byte().view(1, 3, 32, 32);"
        "print(sum(int(corrupt(x, n, 3, 5, torch.tensor([9])).long().mul(torch.arange(3072).view(1, 3, 32, 32)).sum())"
        " for n in ('fog', 'shot_noise', 'speckle_noise', 'impulse_noise')))"
    )
    outside = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    x = torch.arange(3072).remainder(251).byte().view(1, 3, 32, 32)
    weights = torch.arange(3072).view(1, 3, 32, 32)
    chosen = ("fog", "shot_noise", "speckle_noise", "impulse_noise")
    inside = sum(int(corrupt(x, name, 3, 5, torch.tensor([9])).long().mul(weights).sum()) for name in chosen)
    assert int(outside.stdout) == inside


def test_bytes_are_truncated_not_rounded() -> None:
    images = torch.full((64, 3, 32, 32), 128, dtype=torch.uint8)
    result = corrupt(images, "gaussian_noise", 1, seed=0, ids=torch.arange(64))
    bias = result.double().mean().item() - 128
    assert bias == pytest.approx(-0.5, abs=4 * 0.04 * 255 / images.numel() ** 0.5)


def test_default_precision_is_float64() -> None:
    images = torch.randint(0, 256, (64, 3, 32, 32), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)
    ids = torch.arange(64)
    differing = set()
    for name in ("gaussian_noise", "defocus_blur", "brightness", "contrast", "saturate", "brownish_noise", "ripple"):
        default = corrupt(images, name, 4, 0, ids)
        assert torch.equal(default, corrupt(images, name, 4, 0, ids, work_dtype=torch.float64))
        if not torch.equal(default, corrupt(images, name, 4, 0, ids, work_dtype=torch.float32)):
            differing.add(name)
    assert {"defocus_blur", "brightness", "saturate"} <= differing


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", names())
def test_cpu_and_cuda_agree_to_one_grey_level(images: Tensor, name: str) -> None:
    ids = torch.arange(len(images)) + 2**33
    for severity in (1, 5):
        here = corrupt(images, name, severity, 0, ids)
        there = corrupt(images.cuda(), name, severity, 0, ids)
        assert there.device.type == "cuda"
        assert (here.int() - there.cpu().int()).abs().max() <= 1


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (33, 47), (224, 224)])
@pytest.mark.parametrize("name", names())
def test_any_size_from_16_up(name: str, size: tuple[int, int]) -> None:
    batch = torch.randint(0, 256, (2, 3, *size), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    result = corrupt(batch, name, 5, seed=0, ids=torch.arange(2))
    assert result.shape == batch.shape
    assert not torch.equal(result, batch)


def test_empty_batch() -> None:
    empty = torch.empty(0, 3, 32, 32, dtype=torch.uint8)
    with pytest.raises(ImpastoError, match="the batch is empty"):
        corrupt(empty, "fog", 1, seed=0, ids=torch.empty(0, dtype=torch.int64))


@pytest.mark.parametrize("ids", [torch.arange(3), torch.arange(4).float(), torch.arange(4)[:, None]])
def test_ids_that_do_not_fit(ids: Tensor) -> None:
    with pytest.raises(ImpastoError, match=r"not torch.int64 \[4\]"):
        corrupt(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), "fog", 1, seed=0, ids=ids)


def test_table_is_chosen_by_size_or_named(images: Tensor) -> None:
    expected = {16: "cifar", 28: "cifar", 32: "cifar", 45: "cifar", 46: "tin", 64: "tin", 96: "tin", 224: "imagenet"}
    assert {size: table_for(size) for size in expected} == expected
    assert parameters_of("jpeg_compression", 5, "imagenet") == (7,)
    ids = torch.arange(len(images))
    default, named = corrupt(images, "contrast", 1, 0, ids), corrupt(images, "contrast", 3, 0, ids, table="cifar")
    assert torch.equal(corrupt(images, "contrast", 1, 0, ids, table="tin"), named)  # both factors are .4
    assert not torch.equal(default, named)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "gausian_noise"}, "Did you mean 'gaussian_noise'"),
        ({"name": "FOG"}, "Did you mean 'fog'"),
        ({"name": ["fog"]}, "unknown corruption"),
        ({"name": "moss"}, "Use one of gaussian_noise, shot_noise"),
        ({"table": "tiny"}, "unknown table 'tiny'.*Did you mean 'tin'"),
        ({"severity": 0}, "severity 0 does not exist"),
        ({"severity": 6}, "from 1 to 5"),
        ({"severity": 2.0}, "severity 2.0 does not exist"),
        ({"images": torch.zeros(2, 3, 32, 32)}, "torch.float32, not torch.uint8"),
        ({"images": torch.zeros(2, 1, 32, 32, dtype=torch.uint8)}, r"\(2, 1, 32, 32\).*RGB"),
        ({"images": torch.zeros(2, 4, 32, 32, dtype=torch.uint8)}, r"\(2, 4, 32, 32\).*RGB"),
        ({"images": torch.zeros(3, 32, 32, dtype=torch.uint8)}, "not a batch"),
        ({"images": torch.zeros(2, 3, 32, 15, dtype=torch.uint8)}, "32x15 pixels are too small"),
    ],
)
def test_refusals_name_the_value_and_the_remedy(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "images": torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
        "name": "fog",
        "severity": 1,
        "seed": 0,
        "ids": torch.arange(2),
    }
    with pytest.raises(ImpastoError, match=message):
        corrupt(**(arguments | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ids": [0, 1]}, "ids are a builtins.list, not a torch.Tensor"),
        ({"images": np.zeros((2, 3, 32, 32), np.uint8)}, "images are a numpy.ndarray, not a torch.Tensor"),
        ({"seed": 1.5}, "seed 1.5 is no seed"),
        ({"seed": True}, "seed True is no seed"),
        ({"seed": -1}, "seed -1 is no seed"),
        ({"severity": True}, "severity True does not exist"),
        ({"severity": 3.0}, "severity 3.0 does not exist"),
        ({"work_dtype": torch.float16}, "work_dtype is torch.float16"),
    ],
)
def test_what_is_no_argument_is_told(change: dict[str, Any], told: str) -> None:
    given = {"images": torch.zeros(2, 3, 32, 32, dtype=torch.uint8), "name": "fog", "severity": 1, "seed": 0}
    with pytest.raises(ImpastoError, match=re.escape(told)):
        corrupt(**({**given, "ids": torch.arange(2)} | change))


def test_numbers_of_numpy_are_numbers() -> None:
    images, ids = torch.full((2, 3, 32, 32), 90, dtype=torch.uint8), torch.arange(2)
    here = corrupt(images, "fog", np.int64(3), np.int64(7), ids)
    assert torch.equal(here, corrupt(images, "fog", 3, 7, ids))
