"""Where a network's features may be changed on the way: noise and mixing of features act there.

Noisy feature mixup draws one place per batch: the normalised input, or what leaves the first or the second stage
(Siedel et al. 2025), or also the third (Lim et al. 2022; Erichson et al. 2022). In a DenseNet a stage ends with its
transition; a network of timm has the input alone, as the vision transformer has in the paper.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

INPUT = "normalise"
_PLACES = (INPUT, "stage1", "stage2", "stage3")


def places(model: nn.Module) -> list[str]:
    """Names of the parts of a built model after which features may be changed, from the input on."""
    names = {name for name, _ in model.named_children()}
    return [place for place in _PLACES if place in names]


def input_size(model: nn.Module, images: Tensor) -> tuple[int, int]:
    """Height and width at which a built model sees images [N, 3, H, W]: their own unless it resizes them first."""
    resize = dict(model.named_children()).get("resize")
    height, width = images.shape[-2:] if resize is None else resize.size  # type: ignore[misc]
    return int(height), int(width)


def run(model: nn.Module, images: Tensor, place: str, change: Callable[[Tensor], Tensor]) -> Tensor:
    """A pass through a model that changes the features in one place.

    Args:
        model: built by :func:`impasto.models.registry.build`.
        images: float (N, 3, H, W) in [0, 1].
        place: one of :func:`places`.
        change: from the features (N, C, H', W') that leave this part to those that enter the next.

    Returns:
        Logits (N, classes); those of ``model(images)`` if nothing is changed.

    Raises:
        ValueError: the model has no such place.
    """
    if place not in places(model):
        raise ValueError(f"features can be changed after {', '.join(places(model))}, not after {place}")
    x = images
    for name, part in model.named_children():
        x = part(x)
        if name == place:
            x = change(x)
    return x
