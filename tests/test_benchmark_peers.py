"""The slow ways that stand only in the benchmarks do the same as those of impasto."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch

from impasto.corruptions.registry import corrupt


@pytest.mark.parametrize("peer", ["loop", "reference"])
def test_the_loops_make_the_same_noise(benchmark: Callable[[str], ModuleType], peer: str) -> None:
    """In law: the share of values that change, and by how much, over 256 groups."""
    module, images = benchmark("pnorm_noise"), torch.full((2048, 3, 32, 32), 0.5)
    draws = module.pnorm_noise.draw(2048, (32, 32), limits=module.SMALL, generator=module.generator(0, "benchmark"))
    ours = module.pnorm_noise.apply(images.clone(), draws, module.pnorm_noise.sources(images.device, 0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if peer == "loop":
            theirs = module.loop(images)
        else:  # it works on normalised images, which come back with the rounding of that
            theirs = module.reference((images - module._MEAN) / module._STD) * module._STD + module._MEAN
            theirs = torch.where((theirs - 0.5).abs() < 1e-6, 0.5, theirs)
    assert not torch.equal(images, theirs) and images.eq(0.5).all()
    for statistic in (lambda x: x.ne(0.5).float(), lambda x: (x - 0.5).abs()):
        groups = [statistic(each).reshape(256, -1).mean(1) for each in (ours, theirs)]
        error = sum(each.var() / len(each) for each in groups) ** 0.5
        assert abs(groups[0].mean() - groups[1].mean()) < 3 * error


def test_the_generators_zoom_blur_is_ours(benchmark: Callable[[str], ModuleType]) -> None:
    """It alone of the five draws nothing."""
    images = benchmark("corruptions").photographs(8, 32)
    ours = corrupt(images, "zoom_blur", 3, 0, torch.arange(8), table="cifar").permute(0, 2, 3, 1).numpy()
    zoom_blur = benchmark("original").FUNCTIONS["zoom_blur"]
    theirs = np.stack([zoom_blur(image, 3) for image in images.permute(0, 2, 3, 1).contiguous().numpy()])
    assert np.abs(ours.astype(int) - theirs).max() <= 1 and (ours != theirs).mean() < 5e-3
