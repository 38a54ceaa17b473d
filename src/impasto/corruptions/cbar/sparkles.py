"""Sparkles of -C-bar: white light that shines along rays of random length from a few centres, or from all but one.

Mintun, Kirillov and Xie, NeurIPS 2021.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.cbar.levels import fade_to_white, mean_side
from impasto.corruptions.counter_rng import CounterRng

_CENTRES = 5
_FEWEST, _END = 50, 200  # rays of one centre: 50 to 199
_SPREAD = 0.25  # of a ray's length around the radius


class Stars(NamedTuple):
    """Centres and rays of K stars in each image.

    Attributes:
        centres: float64 [B, K, 2], row and column in pixels.
        rays: int64 [B, K], how many rays each star has, 50 to 199.
        normals: float [B, K, 199], standard normals for their lengths; those from ``rays`` on are not used.
    """

    centres: Tensor
    rays: Tensor
    normals: Tensor


def draw_sparkles(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Stars:
    """Five stars, centred anywhere."""
    return _draw(rng, size, _CENTRES)


def draw_inverse_sparkles(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Stars:
    """One star, centred in the middle half of each axis."""
    stars = _draw(rng, size, 1)
    quarter = torch.tensor(size, device=rng.ids.device, dtype=torch.float64) * 0.25
    return stars._replace(centres=stars.centres.mul_(0.5).add_(quarter))


def _draw(rng: CounterRng, size: tuple[int, int], stars: int) -> Stars:
    uniforms = rng.uniforms(3 * stars).view(-1, stars, 3)
    rays = (uniforms[..., 2] * (_END - _FEWEST)).long() + _FEWEST
    centres = uniforms[..., :2] * torch.tensor(size, device=rng.ids.device)
    return Stars(centres, rays, rng.normals(stars * (_END - 1), lane=1).view(-1, stars, _END - 1))


@corruption(draw=draw_sparkles)
def sparkles(images: Tensor, stars: Stars, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Move each pixel towards white by the light of every star in turn; radius .01 severity S, rays of 1 at least."""
    size = images.shape[2], images.shape[3]
    radius = severity * 0.1 / 10 * mean_side(size)
    lengths = (stars.normals.to(dtype) * (_SPREAD * radius)).add_(radius).clamp_min_(1)
    dimmed = 1 - _light(stars, lengths, size, 1.0)
    return fade_to_white(images, dimmed.prod(dim=1, keepdim=True))


@corruption(draw=draw_inverse_sparkles)
def inverse_sparkles(images: Tensor, stars: Stars, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Leave what a star of radius .25 S lights up, with its falloff to the power .13 severity, and whiten the rest."""
    size = images.shape[2], images.shape[3]
    radius = 0.25 * mean_side(size)
    lengths = (stars.normals.to(dtype) * (_SPREAD * radius)).add_(radius)
    return fade_to_white(images, _light(stars, lengths, size, severity * 65 / 10 / 50))


def _light(stars: Stars, lengths: Tensor, size: tuple[int, int], exponent: float) -> Tensor:
    """How much of each star's light reaches each pixel, [B, K, H, W] in [0, 1].

    (1 - (f - 1/2)**2) (L**2 / (d**2 + 1e-4))**exponent, with the distance d, the place f between two rays and their
    length L there.
    """
    device, dtype = lengths.device, lengths.dtype
    rows, columns = (torch.arange(n, device=device, dtype=dtype) for n in size)
    down = (rows - stars.centres[..., :1].to(dtype))[..., :, None]
    right = (columns - stars.centres[..., 1:].to(dtype))[..., None, :]
    turn = torch.atan2(right, down).add_(math.pi)
    place = turn.mul_((stars.rays.to(dtype) / (2 * math.pi))[..., None, None])
    sector = place.to(torch.int32)
    place.frac_()
    first, step = _between_rays(stars.rays, lengths, sector)
    light = step.mul_(place).add_(first).square_().div_((down.square() + right.square()).add_(1e-4))
    if exponent != 1:
        light.pow_(exponent)
    return light.mul_(1 - place.sub_(0.5).square_()).clamp_(0, 1)


def _between_rays(rays: Tensor, lengths: Tensor, sector: Tensor) -> tuple[Tensor, Tensor]:
    """Length of the ray at which each pixel's sector begins, and what the next one adds to it, [B, K, H, W] both."""
    batch, stars, count = lengths.shape
    closed = torch.cat((lengths, lengths[..., :2]), dim=-1)  # room to go round: behind the last ray comes the first
    closed.scatter_(2, torch.stack((rays, rays + 1), dim=-1), lengths[..., :2])
    start = torch.arange(batch * stars, device=rays.device, dtype=torch.int32) * (count + 1)
    index = (sector + start.view(batch, stars, 1, 1)).view(-1)
    tables = closed[..., :-1], closed.diff(dim=-1)
    first, step = (table.reshape(-1).index_select(0, index).view(sector.shape) for table in tables)
    return first, step
