"""Sums per bucket: the same in any batches and any order, and in memory that does not grow with the images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from impasto.fid.buckets import Buckets
from impasto.fid.moments import Moments
from tiny import ROOT

POINTS = (0.0, 0.2, 0.2, 0.7, 1.0)


def sets(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    plain, stylised = torch.randn(2, count, 4, generator=source)
    return plain + 2, 3 * stylised - 1, torch.rand(count, generator=source, dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(batch=st.integers(1, 45), seed=st.integers(0, 1000), points=st.sampled_from([POINTS, (0.5,), (0.3, 0.6)]))
def test_batches_in_any_order_give_the_moments_of_each_set(batch: int, seed: int, points: tuple[float, ...]) -> None:
    plain, stylised, u = sets(40, seed)
    buckets = Buckets(u, points)
    for rows in torch.randperm(40, generator=torch.Generator().manual_seed(seed)).split(batch):
        buckets.add(rows, plain[rows], stylised[rows])
    found = list(buckets.moments())
    assert len(found) == len(points)
    for point, one in zip(points, found, strict=True):
        whole = Moments.of(torch.where((u < point)[:, None], stylised, plain))
        assert one.count == whole.count == 40
        torch.testing.assert_close(one.sum, whole.sum, rtol=1e-12, atol=1e-11)
        torch.testing.assert_close(one.outer, whole.outer, rtol=1e-12, atol=1e-11)


def test_what_was_read_does_not_change_later() -> None:
    plain, stylised, u = sets(10, 0)
    buckets = Buckets(u, POINTS)
    buckets.add(torch.arange(10), plain, stylised)
    first, again = list(buckets.moments()), list(buckets.moments())
    assert all(torch.equal(one.outer, other.outer) for one, other in zip(first, again, strict=True))


def test_bad_inputs() -> None:
    plain, stylised, u = sets(10, 0)
    for points in ((), (0.5, 0.1)):
        with pytest.raises(ValueError, match="ascend"):
            Buckets(u, points)
    buckets = Buckets(u, POINTS)
    with pytest.raises(ValueError, match="lengths"):
        buckets.add(torch.arange(10), plain, stylised[1:])
    buckets.add(torch.arange(9), plain[:9], stylised[:9])
    with pytest.raises(ValueError, match="9 of 10 images"):
        next(buckets.moments())


@pytest.mark.slow
def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    """The larger run has 49 MB of images more than the smaller, and 38 MB of features, plain and stylised."""
    program = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from torch.nn import functional
from impasto.data.images import Rows
from impasto.fid.curve import draw_uniforms, grid, measure_curve
from impasto.fid.extractors import feature_moments
from impasto.io import read_npy
torch.set_num_threads(1)
class Coarse:
    name, identity, resize, dimension = "coarse", "means over 10 x 10 places", "none", 300
    device = torch.device("cpu")
    def __call__(self, images):
        return functional.adaptive_avg_pool2d(images.float(), 10).flatten(1)
for n in (2000, 18000):
    path = Path(sys.argv[1]) / f"{n}.npy"
    np.lib.format.open_memmap(path, "w+", np.uint8, (n, 3, 32, 32))
    images = Rows(read_npy(path), np.arange(n))
    u = draw_uniforms(n, torch.Generator().manual_seed(0))
    reference = feature_moments(Coarse(), images)
    curve = measure_curve(Coarse(), images, lambda part, rows: 255 - part, u, reference, grid(11), 250)
    assert curve.n == reference.count == n and curve.values[0] == 0 < curve.values[-1]
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "IMPASTO_QUIET": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    small, large = map(int, done.stdout.split())
    assert large - small < 20, (small, large)
