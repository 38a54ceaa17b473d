"""Image corruptions on batches: ``corrupt`` and the ``names`` it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from impasto.corruptions.registry import corrupt, names

__all__ = ("corrupt", "names")


def __getattr__(name: str) -> Any:
    """Import the registry, and torch with it, when one of its functions is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from impasto.corruptions import registry

    return getattr(registry, name)
