"""Views of an image lie where the loss looks for them, cut alike or apart."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from impasto.augment import geometry, views
from impasto.rng import generator


def crops(shared: bool, n: int = 2000, **changes: int) -> tuple[geometry.CropDraws, ...]:
    return views.crops(n, padding=4, flip=0.5, shared=shared, **({"seed": 1, "epoch": 2} | changes))


def test_row_v_b_plus_i_is_view_v_of_image_i() -> None:
    pictures = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    batch = views.stack([pictures, pictures + 10, pictures + 20])
    assert batch[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    assert torch.equal(views.split(batch)[2], pictures + 20)
    assert views.split(batch).data_ptr() == batch.data_ptr()
    assert torch.equal(views.split(batch, 2)[1], batch[6:])


def test_channels_last_stays() -> None:
    picture = torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert views.stack([picture] * 3).is_contiguous(memory_format=torch.channels_last)


def test_shared_draws_are_equal_in_all_views() -> None:
    first, *others = crops(shared=True)
    assert len(others) == 2
    for other in others:
        assert all(map(torch.equal, first, other))


def test_draws_of_each_view_are_independent() -> None:
    drawn = crops(shared=False, n=8100)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        for a, b, kinds in zip(drawn[one], drawn[other], (2, 9, 9), strict=True):
            first, second = a.long() + 4 * (kinds == 9), b.long() + 4 * (kinds == 9)
            assert stats.chisquare((first * kinds + second).bincount(minlength=kinds**2).numpy()).pvalue > 0.001


@pytest.mark.parametrize("shared", [False, True])
def test_the_clean_view_is_cut_as_without_views(shared: bool) -> None:
    alone = geometry.draw(2000, padding=4, flip=0.5, generator=generator(1, "crop", 2))
    assert all(map(torch.equal, crops(shared)[0], alone))


def test_draws_replay() -> None:
    one, again, other = crops(False), crops(False), crops(False, epoch=3)
    assert all(torch.equal(a.down, b.down) and torch.equal(a.flip, b.flip) for a, b in zip(one, again, strict=True))
    assert not any(torch.equal(a.down, b.down) for a, b in zip(one, other, strict=True))


def test_what_is_not_whole_views_is_refused() -> None:
    with pytest.raises(ValueError, match="3 views"):
        views.split(torch.zeros(8, 5))
    with pytest.raises(ValueError, match="one shape"):
        views.stack([torch.zeros(2, 5), torch.zeros(3, 5)])
