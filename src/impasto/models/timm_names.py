"""Whether timm has a network, told before anything is built; imports timm only when it is asked."""

from __future__ import annotations

from impasto.errors import ImpastoError, closest


def require_network(name: str) -> None:
    """See that timm has a network of this name, and the set of weights that a tag names.

    Args:
        name: with or without a tag, e.g. ``resnet18`` or ``resnet18.a1_in1k``.

    Raises:
        ImpastoError: it has none; names the closest.
    """
    from timm.models import get_pretrained_cfg, is_model, list_models, split_model_name_tag

    if not is_model(name):
        close = closest(split_model_name_tag(name)[0], list_models())
        remedy = f"Did you mean {close!r}?" if close else "See timm.list_models()."
        raise ImpastoError(f"model.timm: timm has no network {name!r}", where="model.timm", remedy=remedy)
    try:
        get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:  # an unknown tag
        raise ImpastoError(f"model.timm: {error}", where="model.timm", remedy="Leave the tag out.") from error
