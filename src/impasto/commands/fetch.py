"""Download a published corrupted test set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from impasto.config.base import nearest
from impasto.corrupted.fetch import fetch as fetch_set
from impasto.corrupted.published import PUBLISHED, Published
from impasto.corrupted.stored import StoredSet
from impasto.errors import ImpastoError
from impasto.report.wording import plural
from impasto.stages.command import command


@command
def fetch(
    name: Annotated[str, typer.Argument(help="Which one; none lists them with their sizes.")] = "",
    to: Annotated[Path, typer.Option(help="Where to put it.")] = Path("data/official"),
) -> None:
    """Download, check and unpack; an interrupted download goes on, and what is there is not fetched again."""
    if not name:
        print("\n".join(_line(key, one) for key, one in PUBLISHED.items()))
        return
    if name not in PUBLISHED:
        raise ImpastoError(
            f"there is no published set {name!r}", where="impasto fetch", remedy=nearest(name, list(PUBLISHED))
        )
    root = fetch_set(PUBLISHED[name], to)
    try:
        found = StoredSet(root, PUBLISHED[name])
        found.verify()
    except ImpastoError as error:
        remedy = f"Delete {root} and run the command again."
        raise ImpastoError(error.what, where=error.where, remedy=remedy) from error
    print(f"{root}: {plural(len(found.names), 'corruption')}, every file as published")


def _line(key: str, one: Published) -> str:
    sizes = [f"{archive.size / 1e9:.2f} GB" for archive in one.archives if archive.size]
    told = " + ".join(sizes) if len(sizes) == len(one.archives) else "size not published"
    return f"{key:16} {told:18} {one.title}"
