"""Copies that balance the classes: how many, of what, in which style, and what the plan shows of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import binomtest, chisquare
from torch import Tensor

from impasto.config.balance import Balance
from impasto.copies import NO_STYLE, Bank, Copies, draw_copies, show_copies
from impasto.copies_per_class import copies_per_class
from impasto.errors import ImpastoError
from impasto.mix import Plan, draw_plan
from tiny import mix

CLASSES = ("noble", "warrior", "incarnation", "commoner")
KAOKORE = (3175, 2298, 644, 639)  # training images of version 1.2, by status
SMALL = (40, 29, 8, 3)


def balance(**changes: Any) -> Balance:
    values = {"strength": 0.0, "p1": 0.8, "p2": 0.2, "rare": 1.0, "multipliers": [], "copy": "style", "styles": "any"}
    return Balance.model_validate(values | {"replace": True} | changes)


def labels(counts: tuple[int, ...] = SMALL) -> Tensor:
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


def drawn(config: Balance, counts: tuple[int, ...] = SMALL, seed: int = 0, bank: Bank | None = None) -> Copies:
    own = labels(counts)
    wanted = copies_per_class(counts, CLASSES, config)
    return draw_copies(own, wanted, bank or Bank(len(own), own), config, (0.2, 0.7), seed)


@pytest.mark.parametrize(
    ("p1", "p2", "shown", "ratio"),
    [
        (0.8, 0.2, [5715, 4136, 773, 767], 7.45), (0.5, 0.5, None, 4.97), (0.2, 0.8, None, 3.31),
        (0.0, 1.0, None, 2.48),
    ],
)  # fmt: skip
def test_the_papers_settings_give_its_class_counts(p1: float, p2: float, shown: list[int] | None, ratio: float) -> None:
    copies = copies_per_class(KAOKORE, CLASSES, balance(p1=p1, p2=p2))
    found = [n + more for n, more in zip(KAOKORE, copies, strict=True)]
    assert shown is None or found == shown
    assert max(found) / min(found) == pytest.approx(ratio, abs=0.005)


def test_fill_balances_all_classes_and_multipliers_overrule() -> None:
    full = copies_per_class(KAOKORE, CLASSES, balance(p1="fill", p2="fill"))
    assert full == [0, 877, 2531, 2536]
    some = balance(p1=0.0, p2="fill", multipliers=[{"class": "warrior", "copies": 2.5}])
    assert copies_per_class(KAOKORE, CLASSES, some) == [0, round(2.5 * 2298), 2531, 2536]


@pytest.mark.parametrize(
    ("rare", "named"),
    [(1.0, [2, 3]), (0.1, []), (0.38, [3]), (10.0, [0, 1, 2, 3]), (["noble"], [0]), ([], [])],
)
def test_classes_are_rare_by_count_or_by_name(rare: float | list[str], named: list[int]) -> None:
    found = copies_per_class(KAOKORE, CLASSES, balance(p1=0.0, p2=1.0, rare=rare))
    assert [c for c, n in enumerate(found) if n] == named


def test_combinations_of_gender_and_status_are_rare_by_their_own_counts() -> None:
    """Not in the order of a list, by which the paper's code has the largest class among the rare ones."""
    counts = (1920, 2232, 583, 498, 1255, 66, 61, 141)
    names = [f"{gender}_{status}" for gender in ("male", "female") for status in CLASSES]
    found = copies_per_class(counts, names, balance(p1=0.0, p2=1.0))
    assert [name for name, n in zip(names, found, strict=True) if n] == [
        "male_incarnation", "male_commoner", "female_warrior", "female_incarnation", "female_commoner"
    ]  # fmt: skip


def test_of_classes_of_one_size_none_is_rare() -> None:
    assert copies_per_class((5, 5, 5, 5), CLASSES, balance(p1=0.0, p2=1.0)) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rare": ["incarnatoin"]}, r"balance.rare names the class 'incarnatoin', which there is not.*'incarnation'"),
        ({"multipliers": [{"class": "x", "copies": 1}]}, r"balance.multipliers names the class 'x'.*noble, warrior"),
    ],
)
def test_a_class_that_there_is_not_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ImpastoError, match=told):
        copies_per_class(KAOKORE, CLASSES, balance(**change))


def test_a_class_without_images_has_no_copies() -> None:
    with pytest.raises(ImpastoError, match="class 1 is to have 4 copies, but it has no images"):
        draw_copies(labels((3, 0)), [0, 4], Bank(5, None), balance(), (1, 1), 0)


@pytest.mark.parametrize("styles", ["class", "any"])
def test_pairs_stay_in_the_class_or_go_anywhere(styles: str) -> None:
    own = labels()
    found = drawn(balance(p1=20, p2=20, styles=styles))
    counts = own[found.content].bincount()
    assert counts.tolist() == [20 * n for n in SMALL] and (found.first, found.kind) == (len(own), "style")
    if styles == "class":
        assert torch.equal(own[found.content], own[found.style])
        noble = found.style[own[found.content] == 0].bincount(minlength=40)
        assert chisquare(noble).pvalue > 1e-4, "each as likely"
    else:
        assert chisquare(found.style.bincount(minlength=len(own))).pvalue > 1e-4
    assert found.alpha.min() >= 0.2 and found.alpha.max() <= 0.7 and found.alpha.std() == pytest.approx(0.144, abs=0.01)


@pytest.mark.parametrize("replace", [True, False])
def test_an_image_is_its_own_style_as_rarely_as_any_other(replace: bool) -> None:
    """Content and style are drawn apart: one image in n_c, as in the paper."""
    found = drawn(balance(p1=10, p2=10, styles="class", replace=replace), (400, 400, 400, 400))
    assert binomtest(int((found.content == found.style).sum()), len(found.content), 1 / 400).pvalue > 1e-4


def test_without_replacement_all_are_drawn_before_one_is_drawn_again() -> None:
    own, found = labels(), drawn(balance(p1=2.5, p2=2.5, styles="class", replace=False))
    for column in (found.content, found.style):
        assert column.bincount(minlength=len(own))[:40].unique().tolist() == [2, 3]
    again = drawn(balance(p1=2.5, p2=2.5, styles="class"))
    assert again.content.bincount()[:40].max() > 3


@pytest.mark.parametrize("replace", [True, False])
def test_replicates_number_the_copies_of_an_image(replace: bool) -> None:
    found, seen = drawn(balance(p1=3, p2=3, replace=replace)), dict[int, int]()
    for content, replicate in zip(found.content.tolist(), found.replicate.tolist(), strict=True):
        assert replicate == seen.get(content, 0)
        seen[content] = replicate + 1


def test_one_classs_copies_do_not_depend_on_the_others_and_more_of_them_keep_the_first() -> None:
    own = labels()
    few, many = (drawn(balance(p1=p1, p2=0.9, styles="class", replace=False)) for p1 in (0.3, 2.0))
    for c in range(4):
        one, other = (
            torch.stack([f.content.double(), f.style.double(), f.alpha.double()])[:, own[f.content] == c]
            for f in (few, many)
        )
        assert torch.equal(one, other[:, : one.shape[1]])
        assert one.shape[1] < other.shape[1] if c < 2 else one.shape == other.shape
    assert not torch.equal(drawn(balance(), seed=1).content, drawn(balance()).content)


def test_controls_have_no_style_or_no_strength() -> None:
    plain = drawn(balance(p1=2, p2=2))
    for kind, style in (("duplicate", NO_STYLE), ("rules", NO_STYLE), ("reconstruction", 0)):
        found = drawn(balance(p1=2, p2=2, copy=kind))
        assert torch.equal(found.content, plain.content), "the same images as in the arm they control"
        assert found.style.unique().tolist() == [style] and found.alpha.eq(0).all()


def test_styles_without_classes_are_refused() -> None:
    with pytest.raises(ImpastoError, match="balance.styles is class, but the styles have no classes"):
        drawn(balance(styles="class"), bank=Bank(9, None))


def planned(copies: Copies, counts: tuple[int, ...], n: int, **changes: Any) -> tuple[Plan, Tensor]:
    stream = torch.cat([labels(counts), labels(counts)[copies.content]])
    mixed = mix(**({"lambda_": 0.0, "lambda_o": 0.0} | changes))
    plan = draw_plan(stream, torch.arange(4), mixed, strength=0.0, styles=9, batch=64, seed=0, epoch=0, length=n)
    return show_copies(plan, copies, mixed.combine_o), stream


@pytest.mark.parametrize(("p1", "p2"), [(0.8, 0.2), (0.0, 4.0)])
def test_class_shares_and_stylised_shares_are_those_of_the_paper(p1: float, p2: float) -> None:
    """Class c in proportion to n_c (1 + p_c), of which p_c / (1 + p_c) stylised."""
    copies = drawn(balance(p1=p1, p2=p2, styles="class"), KAOKORE)
    n = sum(KAOKORE)
    plan, stream = planned(copies, KAOKORE, n)
    weights = [count * (1 + p) for count, p in zip(KAOKORE, (p1, p1, p2, p2), strict=True)]
    for c, p in enumerate((p1, p1, p2, p2)):
        mine = stream[plan.row] == c
        assert binomtest(int(mine.sum()), n, weights[c] / sum(weights)).pvalue > 1e-4
        stylised = int(plan.stylised[mine].sum())
        assert binomtest(stylised, int(mine.sum()), p / (1 + p)).pvalue > 1e-4 if p else stylised == 0


def test_an_epoch_as_long_as_the_stream_shows_each_image_and_each_copy_once() -> None:
    copies = drawn(balance())
    plan, stream = planned(copies, SMALL, 80 + len(copies.content))
    assert plan.row.sort().values.tolist() == list(range(len(stream)))


def test_a_copy_is_shown_as_it_was_drawn_and_nothing_else_changes() -> None:
    copies = drawn(balance(p1=1, p2=1, styles="class"))
    before = draw_plan(
        torch.cat([labels(), labels()[copies.content]]), torch.arange(4).repeat(50), mix(), strength=0.0, styles=9,
        batch=64, seed=0, epoch=3, length=400,
    )  # fmt: skip
    after = show_copies(before, copies, "or")
    own = (before.row >= 80) & ~before.synthetic
    assert own.any() and (~own & ~before.synthetic).any() and (before.synthetic & (before.row >= 80)).any()
    at = before.row[own] - 80
    assert after.stylised[own].all() and not after.trivial[own].any()
    assert torch.equal(after.style[own], copies.style[at]) and torch.equal(after.alpha[own], copies.alpha[at])
    for name in Plan._fields:
        assert torch.equal(getattr(after, name)[~own], getattr(before, name)[~own]), name
    assert show_copies(before, copies, "and").trivial[own].all()


def test_duplicates_are_like_any_image_and_rules_act_on_copies_alone() -> None:
    duplicates, rules = (drawn(balance(p1=1, p2=1, copy=kind)) for kind in ("duplicate", "rules"))
    plan, _ = planned(duplicates, SMALL, 200, lambda_o=0.5)
    assert plan.stylised[plan.row >= 80].any() and not plan.stylised[plan.row >= 80].all()
    plan, _ = planned(rules, SMALL, 200, lambda_=0.3, lambda_o=0.5, combine_o="or")
    assert torch.equal(plan.trivial, (plan.row >= 80) & ~plan.synthetic)


def test_no_copies_leave_the_sampler_of_siedel_et_al() -> None:
    none = drawn(balance(p1=0.0, p2=0.0))
    assert len(none.content) == 0 and none.alpha.dtype == torch.float32
    plan, _ = planned(none, SMALL, 80, lambda_=0.5, lambda_o=0.3)
    plain = draw_plan(
        labels(), torch.arange(4), mix(lambda_=0.5, lambda_o=0.3), strength=0.0, styles=9, batch=64, seed=0, epoch=0
    )
    assert all(map(torch.equal, plan, plain))
