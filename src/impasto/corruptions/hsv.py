"""Changes of saturation and value in HSV space, in the operation order of scikit-image.

Hue, saturation and value are those of Smith, "Color gamut transform pairs", SIGGRAPH 1978. Results are truncated to
bytes, so a last bit decides a grey level now and then: the order of the operations below is part of the definition.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from impasto.corruptions.pixels import truncate, unit

Change = Callable[[Tensor], Tensor]


def change_hsv(
    images: Tensor, *, saturation: Change | None = None, value: Change | None = None, dtype: torch.dtype
) -> Tensor:
    """Convert uint8 RGB [B, 3, H, W] to HSV, change S or V (in place allowed), convert back and truncate."""
    highest, middle, lowest = _ordered(images)
    top, bottom = unit(highest, dtype), unit(lowest, dtype)
    spread = top - bottom
    sector, position = _hue(images, unit(middle, dtype).sub_(bottom), spread, highest)
    s = spread.div_(top + (1 - highest.clamp_max(1)))  # 0 for black
    s = s if saturation is None else saturation(s)
    v = top if value is None else value(top)
    # Of the three output values one is V, one V (1 - S), and the one between depends on the place in the sector:
    # V (1 - S position) in odd sectors, V (1 - S (1 - position)) in even ones.
    even = 1 - (sector & 1)
    between = truncate((1 - position.sub_(even).abs_().mul_(s)).mul_(v))
    lowest = truncate((1 - s).mul_(v))
    return _arrange(sector, truncate(v), between, lowest)


def _ordered(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The highest, middle and lowest byte of each pixel, each uint8 [B, H, W]."""
    red, green, blue = images.unbind(1)
    highest = torch.maximum(torch.maximum(red, green), blue)
    lowest = torch.minimum(torch.minimum(red, green), blue)
    return highest, red ^ green ^ blue ^ highest ^ lowest, lowest


def _hue(images: Tensor, excess: Tensor, spread: Tensor, highest: Tensor) -> tuple[Tensor, Tensor]:
    """The hue as one of six sectors (uint8) and the position within it, in [0, 1); grey has hue 0.

    Where two channels share the maximum, the later one in the order red, green, blue decides.

    Args:
        images: uint8 [B, 3, H, W].
        excess: middle minus lowest value of each pixel, [B, H, W]; overwritten.
        spread: highest minus lowest value, [B, H, W].
        highest: the highest byte, uint8 [B, H, W].
    """
    red, green, blue = images.unbind(1)
    is_blue = blue == highest
    is_green = (green == highest) & ~is_blue
    is_red = ~(is_blue | is_green)
    falling = ((red < green) & is_blue) | ((blue < red) & is_green) | ((green < blue) & is_red)
    coloured = (spread > 0).byte()
    offset = is_blue.byte().mul_(4).add_(is_green.byte().mul_(2)).mul_(coloured)
    sign = 1 - falling.to(torch.int8).mul_(2)
    hue = excess.mul_(sign).div_(spread + (1 - coloured)).add_(offset).div_(6)
    hue = hue.add_((falling & is_red).byte()).mul_(6)  # a negative hue comes round by a full turn
    turns = hue.floor()
    sector = turns.to(torch.int32).to(torch.uint8)
    return sector.mul_(sector < 6), hue.sub_(turns)  # a hue just below 0 rounds to a full turn


def _arrange(sector: Tensor, highest: Tensor, between: Tensor, lowest: Tensor) -> Tensor:
    """Deal the three bytes of each pixel to R, G, B by its sector; bit k of a mask speaks of sector k.

    The products are choices between bytes (differences wrap and come back), much faster than torch.where.
    """
    result = torch.empty(len(sector), 3, *sector.shape[1:], dtype=torch.uint8, device=sector.device)
    above, inside = highest.sub_(lowest), between.sub_(lowest)
    for channel, (high, middle) in enumerate(((0b100001, 0b010010), (0b000110, 0b001001), (0b011000, 0b100100))):
        is_high = torch.bitwise_right_shift(high, sector).bitwise_and_(1)
        is_middle = torch.bitwise_right_shift(middle, sector).bitwise_and_(1)
        torch.add(is_high.mul_(above).add_(is_middle.mul_(inside)), lowest, out=result[:, channel])
    return result
