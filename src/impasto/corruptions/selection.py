"""From the name of a benchmark, or of single corruptions, to the corruptions that are meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from impasto.corruptions import registry
from impasto.corruptions.catalogue import CATALOGUE
from impasto.corruptions.cbar_tables import CBAR_TABLES
from impasto.corruptions.sets import C15, C19, C_BAR, C_BAR15
from impasto.corruptions.tables import TABLES
from impasto.errors import ImpastoError

SETS = ("c", "c15", "c-bar")
_MEMBERS = frozenset((*C19, *C_BAR15))


def members(benchmark: str, table: str) -> tuple[str, ...]:
    """The corruptions of a benchmark, all of which exist.

    Args:
        benchmark: ``c`` (the 19 of -C), ``c15`` (without the four extra ones) or ``c-bar``.
        table: whose constants apply; it also says which list of -C-bar: that of CIFAR, or that of ImageNet, which
            TinyImageNet shares.

    Raises:
        ImpastoError: the benchmark or table is unknown, or a member has no implementation; names all such members.
    """
    lists = {"c": C19, "c15": C15, "c-bar": C_BAR["cifar" if table == "cifar" else "imagenet"]}
    if benchmark not in lists:
        raise ImpastoError(f"unknown set {benchmark!r}", where="corruptions", remedy=f"Use one of {', '.join(SETS)}.")
    return require(lists[benchmark], table)


def require(names: Sequence[str], table: str) -> tuple[str, ...]:
    """The same names, without repetition, all of which exist with the constants of ``table``.

    Raises:
        ImpastoError: the table is unknown, or names have no implementation or no constants; names all of them.
    """
    known = available(table)
    lacking = [name for name in dict.fromkeys(names) if name not in known]
    if lacking:
        typo = [
            near for name in lacking if name not in _MEMBERS for near in difflib.get_close_matches(name, known, n=1)
        ]
        remedy = f"Did you mean {typo[0]!r}?" if typo else f"Use some of {', '.join(known)}."
        told = f"not implemented with the constants of {table}: {', '.join(lacking)}"
        raise ImpastoError(told, where="corruptions", remedy=remedy)
    return tuple(dict.fromkeys(names))


def available(table: str) -> tuple[str, ...]:
    """All corruptions that are implemented and have constants in ``table``, in the order of the tables.

    Raises:
        ImpastoError: there is no such table.
    """
    if table not in TABLES:
        raise ImpastoError(f"unknown table {table!r}", where="corruptions", remedy=f"Use one of {', '.join(TABLES)}.")
    constants = TABLES[table] | CBAR_TABLES[table]
    return tuple(name for name in registry.names() if name in CATALOGUE and name in constants)
