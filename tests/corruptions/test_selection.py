"""From names of benchmarks to corruptions that exist."""

from __future__ import annotations

import pytest

from impasto.corruptions import selection
from impasto.corruptions.catalogue import CATALOGUE
from impasto.corruptions.selection import available, members, require
from impasto.corruptions.sets import C15, C19, C_BAR
from impasto.corruptions.tables import TABLES
from impasto.errors import ImpastoError


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("benchmark", selection.SETS)
def test_all_members_are_there(benchmark: str, table: str) -> None:
    cifar = "cifar" if table == "cifar" else "imagenet"
    want = {"c": C19, "c15": C15, "c-bar": C_BAR[cifar]}[benchmark]
    assert members(benchmark, table) == want


def test_every_lacking_member_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fog", "pixelate"):
        monkeypatch.delitem(CATALOGUE, name)
    with pytest.raises(ImpastoError, match=r"fog, .*pixelate.* Use some of gaussian_noise"):
        members("c15", "cifar")
    assert not {"fog", "pixelate"} & set(available("cifar"))


def test_names_are_kept_in_order_and_once() -> None:
    assert require(["fog", "contrast", "fog"], "tin") == ("fog", "contrast")


def test_constants_of_another_benchmark_do_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TABLES["tin"], "fog")
    assert require(["fog"], "cifar") == ("fog",)
    with pytest.raises(ImpastoError, match="not implemented with the constants of tin: fog"):
        require(["fog"], "tin")


def test_unknown_names() -> None:
    with pytest.raises(ImpastoError, match="unknown set 'c16'.*c, c15, c-bar"):
        members("c16", "cifar")
    with pytest.raises(ImpastoError, match="unknown table 'svhn'.*cifar, tin, imagenet"):
        available("svhn")
    with pytest.raises(ImpastoError, match="Did you mean 'fog'"):
        require(["fogg"], "cifar")
    with pytest.raises(ImpastoError, match="moss.*Use some of gaussian_noise"):
        require(["moss"], "cifar")
