"""The lists that KaoKore consists of: labels, addresses and tags; read, checked for sense and against the counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from impasto.data.sources.kaokore_tables import CLASSES, GENDERS, PARTS, STATUSES, Kaokore
from impasto.errors import ImpastoError

LABELS, URLS, TAGS = "labels.csv", "urls.txt", "original_tags.txt"

_HEADER = ["image", "gender", "status", "set"]
_NAME = re.compile(r"(\d{8})\.jpg")
_WORK = "原典"  # the key of the source work, of which an image may show several
_CROP = 4  # last parts of an address: region, size, rotation and file (IIIF Image API); before them stands the page


class Row(NamedTuple):
    """A labelled image."""

    name: str
    gender: int
    status: int
    part: str

    def label(self, task: str) -> int:
        """The number of its class."""
        return {"gender": self.gender, "status": self.status, "joint": len(STATUSES) * self.gender + self.status}[task]


def read_labels(file: Path) -> list[Row]:
    """The rows of labels.csv, in its order.

    Raises:
        ImpastoError: names the line that is none, or is out of range, or the image that stands there twice.
    """
    lines = [[cell.strip('"') for cell in line.split(",")] for line in _lines(file)]  # csv has a limit, web pages none
    if lines[:1] != [_HEADER]:
        raise _wrong(file, f"does not begin with the line {','.join(_HEADER)}")
    rows = [_row(file, number, line) for number, line in enumerate(lines[1:], 2) if line != [""]]
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise _wrong(file, f"names {twice} twice")
    return rows


def _row(file: Path, number: int, line: list[str]) -> Row:
    ranges = ([str(n) for n in range(len(names))] for names in (GENDERS, STATUSES))
    right = len(line) == len(_HEADER) and _NAME.fullmatch(line[0]) and line[3] in PARTS
    if not right or not all(value in known for value, known in zip(line[1:3], ranges, strict=True)):
        raise _wrong(
            file, f"has in line {number} {','.join(line)[:40]!r}, which is no image with gender, status and set"
        )
    return Row(line[0], int(line[1]), int(line[2]), line[3])


def read_urls(file: Path, published: Kaokore | None = None) -> list[str]:
    """The lines of urls.txt: that of image n at place n, empty where there is none.

    Raises:
        ImpastoError: with ``published``, there are more or fewer lines or addresses than it says.
    """
    urls = [line.strip() for line in _lines(file)]
    if published:
        found, wanted = (len(urls), sum(map(bool, urls))), (published.lines, published.images)
        for what, one, other in zip(("lines", "addresses"), found, wanted, strict=True):
            if one != other:
                raise _wrong(file, f"has {one:,} {what}, but version {published.version} has {other:,}")
    return urls


def url_of(row: Row, urls: Sequence[str], file: Path) -> str:
    """The address of an image, empty where there is none.

    Raises:
        ImpastoError: the list ends before it.
    """
    number = int(row.name[:8])
    if number >= len(urls):
        raise _wrong(file, f"has {len(urls):,} lines, and none for {row.name} of {LABELS}")
    return urls[number]


def page_of(url: str) -> str:
    """The page that an image is cut out of: its address without what cuts it."""
    return url.rsplit("/", _CROP)[0]


def read_works(file: Path) -> dict[str, list[str]]:
    """The source works of each image in original_tags.txt, whose lines are ``NAME:KEY=VALUE;KEY=VALUE;..``.

    Raises:
        ImpastoError: names the line that is none.
    """
    found = {}
    for number, line in enumerate(_lines(file), 1):
        name, colon, tags = line.strip().partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise _wrong(file, f"has in line {number} {line[:40]!r}, which is no image with tags")
        pairs = (tag.partition("=") for tag in tags.split(";"))
        found[name] = [value.strip() for key, _, value in pairs if key.strip() == _WORK and value.strip()]
    return found


def require_counts(rows: Sequence[Row], published: Kaokore, file: Path) -> None:
    """Hold the labels against the published counts: of every split, of every class of every task.

    Raises:
        ImpastoError: names version, split, class, and both numbers.
    """
    for task, parts in published.counts.items():
        for part, counts in parts.items():
            mine = [row.label(task) for row in rows if row.part == part]
            for label, (name, wanted) in enumerate(zip(CLASSES[task], counts, strict=True)):
                if wanted is not None and mine.count(label) != wanted:
                    told = f"{mine.count(label):,} images of {task} {name} in {part}"
                    raise _wrong(file, f"has {told}, but version {published.version} has {wanted:,}")


def require_classes(rows: Sequence[Row], task: str, file: Path) -> None:
    """See that every split shows every class of a task, which is all that is asked of labels of one's own.

    Raises:
        ImpastoError: names the first class that is missing.
    """
    there = {(row.part, row.label(task)) for row in rows}
    for part in PARTS:
        for label, name in enumerate(CLASSES[task]):
            if (part, label) not in there:
                raise _wrong(file, f"has no image of {task} {name} in {part}")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise _wrong(file, "does not exist") from error
    except UnicodeDecodeError as error:
        raise _wrong(file, f"is no text in UTF-8: {error}") from error


def _wrong(file: Path, what: str) -> ImpastoError:
    remedy = "Put the list there as it is published, or delete it and leave dataset.root null to have it downloaded."
    return ImpastoError(f"{file} {what}", where=str(file.parent), remedy=remedy)
