"""Parts that were made before a kill are taken as they were, whoever made them, and the others made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.checkpoint import Resume
from impasto.kept import Kept
from impasto.runtime import runtime
from ranked import answers, curve


@pytest.fixture
def often(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save after every part."""
    monkeypatch.setenv("IMPASTO_SAVE_SECONDS", "1e-9")
    runtime.cache_clear()


class Killed(BaseException):
    """Stands for the signal that ends a process."""


class Dying(Kept):
    """Is killed in the third part that it makes."""

    def __init__(self, resume: Resume) -> None:
        super().__init__(resume)
        self._left = 3

    def __call__(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        def made() -> Tensor:
            self._left -= 1
            if not self._left:
                raise Killed
            return make()

        return super().__call__(name, made)


def never() -> Tensor:
    raise AssertionError("this part was made before")


def part(name: str) -> Tensor:
    return torch.rand(3, 2, generator=torch.Generator().manual_seed(ord(name)))


@pytest.mark.usefixtures("often")
def test_parts_of_several_processes_are_found_by_any_number() -> None:
    """Two make two parts each; whoever starts then finds all of them."""
    two = Kept(Resume("run")), Kept(Resume("run"))
    for turn, name in enumerate("abcd"):
        assert torch.equal(two[turn % 2](name, partial(part, name)), part(name))
    for extra in "ef":
        after = Kept(Resume("run"))
        assert all(torch.equal(after(name, never), part(name)) for name in "abcd")
        after(extra, partial(part, extra))
    assert all(torch.equal(Kept(Resume("run"))(name, never), part(name)) for name in "abcdef")
    assert torch.equal(Kept(Resume("another"))("a", partial(part, "z")), part("z"))


def test_what_is_not_due_is_not_saved_and_nothing_without_a_resume_point(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = iter([False, True, False])
    monkeypatch.setattr(Resume, "due", lambda _: next(due))
    keep = Kept(Resume("run"))
    for name in "abc":
        keep(name, partial(part, name))
    again = Kept(Resume("run"))
    assert all(torch.equal(again(name, never), part(name)) for name in "ab")
    with pytest.raises(AssertionError, match="made before"):
        again("c", never)
    assert [path.name for path in Resume("run").folder.iterdir()] == ["parts-a.pt"]
    Kept()("a", partial(part, "a"))
    assert len(list(root.glob(".resume/*/*.pt"))) == 1


@pytest.mark.usefixtures("often")
def test_a_damaged_file_is_told_and_its_parts_are_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    keep = Kept(Resume("run"))
    for name in "ab":
        keep(name, partial(part, name))
    file = Resume("run").folder / "parts-a.pt"
    file.write_bytes(file.read_bytes()[:100])
    again = Kept(Resume("run"))
    assert "parts-a.pt is damaged" in capsys.readouterr().err
    assert torch.equal(again("a", partial(part, "a")), part("a")) and torch.equal(again("b", never), part("b"))


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(("run", "noted", "kills"), [(answers, "asked", 7), (curve, "batches", 12)])
def test_killed_after_every_other_part(run: Callable[..., dict[str, Any]], noted: str, kills: int) -> None:
    """15 parts of an evaluation; 5 + 8 + 1 of features and 11 + 1 distances of a curve."""
    whole, times = run(), 0
    while True:
        try:
            found = run(Dying(Resume("run")))
            break
        except Killed:
            times += 1
    assert times == kills
    again = run(Kept(Resume("run")))
    assert not again[noted] and whole[noted]
    for name in whole.keys() - {noted}:
        for other in (found[name], again[name]):
            assert torch.equal(other, whole[name]) if isinstance(other, Tensor) else other == whole[name]
