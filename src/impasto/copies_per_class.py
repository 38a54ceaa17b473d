"""How many copies each class gets (ST-SACLF, arXiv 2408.01827): p1 per image of majority, p2 of rare classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from impasto.config.balance import Balance
from impasto.errors import ImpastoError, closest


def copies_per_class(counts: Sequence[int], classes: Sequence[str], balance: Balance) -> list[int]:
    """How many copies each class gets.

    Args:
        counts: images of each class.
        classes: their names.
        balance: p1, p2, rare, multipliers.

    Raises:
        ImpastoError: a class that the parameters name does not exist.
    """
    require_classes(classes, balance)
    named = {one.name: one.copies for one in balance.multipliers}
    rare = _rare(counts, classes, balance.rare)
    amounts = [named.get(name, balance.p2 if name in rare else balance.p1) for name in classes]
    most = max(counts)
    return [most - n if amount == "fill" else round(amount * n) for n, amount in zip(counts, amounts, strict=True)]


def require_classes(classes: Sequence[str], balance: Balance) -> None:
    """See that every class exists that ``rare`` and ``multipliers`` name.

    Raises:
        ImpastoError: one does not.
    """
    _known("balance.multipliers", [one.name for one in balance.multipliers], classes)
    _known("balance.rare", balance.rare if isinstance(balance.rare, list) else [], classes)


def _rare(counts: Sequence[int], classes: Sequence[str], rare: float | list[str]) -> list[str]:
    if isinstance(rare, list):
        return rare
    mean = sum(counts) / len(counts)
    return [name for name, n in zip(classes, counts, strict=True) if n < rare * mean]


def _known(leaf: str, named: Iterable[str], classes: Sequence[str]) -> None:
    for name in named:
        if name not in classes:
            near = closest(name, classes)
            remedy = f"Did you mean {near!r}?" if near else f"The classes are {', '.join(classes)}."
            raise ImpastoError(f"{leaf} names the class {name!r}, which there is not", where=leaf, remedy=remedy)
