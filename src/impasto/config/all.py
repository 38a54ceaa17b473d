"""The whole of params.yaml at once: for the check, the presets and the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from impasto.config.augment import Augment
from impasto.config.balance import Balance
from impasto.config.base import S, Section, flatten, nearest, pick, read_yaml
from impasto.config.dataset import Dataset
from impasto.config.evaluate import Evaluate
from impasto.config.explain import Explain
from impasto.config.fid import Fid
from impasto.config.finetune import Finetune
from impasto.config.mix import Mix, Shares
from impasto.config.model import BLOCKS, LEAST, Model
from impasto.config.schedule import Schedule
from impasto.config.seed import Seed, Seeds
from impasto.config.style import Style
from impasto.config.synthetic import POOLS, Synthetic
from impasto.config.train import Train
from impasto.config.tune import Tune
from impasto.errors import ImpastoError

Fault = tuple[str, str] | None


class Of(Protocol):
    """From a section's type to its values."""

    def __call__(self, section: type[S], /) -> S: ...


#: In the order of params.yaml.
SECTIONS: tuple[type[Section], ...] = (
    Seed, Seeds, Mix, Dataset, Synthetic, Style, Balance, Augment, Model, Train, Finetune, Evaluate, Explain,
    Fid, Tune,
)  # fmt: skip


def check(path: Path) -> dict[type[Section], Section]:
    """Validate every section and what they must agree on.

    Raises:
        ImpastoError: names the first fault.
    """
    return check_tree(read_yaml(path), path)


def check_tree(tree: Mapping[str, Any], path: Path) -> dict[type[Section], Section]:
    """The same for values at hand; ``path`` is what messages call them.

    Raises:
        ImpastoError: see :func:`check`.
    """
    keys = [key for section in SECTIONS for key in _keys(section)]
    for key in tree:
        if key not in keys:
            raise ImpastoError(f"unknown key {key!r}", where=str(path), remedy=nearest(str(key), keys))
    found = {section: pick(tree, section, path) for section in SECTIONS}
    _agree(found, path)
    _searched(found, dict(flatten(tree)), path)
    return found


def _keys(section: type[Section]) -> list[str]:
    return [section.key] if section.key else [field.alias or name for name, field in section.model_fields.items()]


def _agree(found: dict[type[Section], Section], path: Path) -> None:
    """What holds between sections; each rule names the first fault, as (what, remedy)."""

    def of(section: type[S]) -> S:
        value = found[section]
        assert isinstance(value, section)
        return value

    for rule in (_roots, _pools, _sources, _schedules, _sizes, _blocks, _copies, _places):
        if fault := rule(of):
            raise ImpastoError(fault[0], where=str(path), remedy=fault[1])


def _searched(found: dict[type[Section], Section], leaves: Mapping[str, Any], path: Path) -> None:
    """What `impasto tune` searches are leaves that there are."""
    tune = found[Tune]
    assert isinstance(tune, Tune)
    for name in (each.parameter for search in tune.searches for each in search.space):
        if name not in leaves:
            what = f"tune.searches: unknown parameter {name!r}"
            raise ImpastoError(what, where=str(path), remedy=nearest(name, list(leaves)))


def _roots(of: Of) -> Fault:
    synthetic, style, evaluate = of(Synthetic), of(Style), of(Evaluate)
    for key, kind, root in (
        ("synthetic.source", synthetic.source, synthetic.root),
        ("style.bank", style.bank, style.root),
        ("evaluate.corrupted", evaluate.corrupted, evaluate.root),
    ):
        section = key.split(".")[0]
        if kind == "published":  # a file of it, or null for a download
            continue
        if (kind in {"folder", "npz", "official"}) != bool(root):
            state = f"{section}.root is {root!r}" if root else f"{section}.root is null"
            return f"{key} is {kind}, but {state}", f"Change {key} or {section}.root: only a folder or a file has one."
    return None


def _pools(of: Of) -> Fault:
    root, name = of(Synthetic).root, of(Dataset).name
    if of(Synthetic).source == "npz" and root in POOLS and POOLS[root] != name:
        what = f"synthetic.root is {root}, but dataset.name is {name}"
        return what, f"Set dataset.name to {POOLS[root]}, whose classes these images show, or name other images."
    return None


def _sources(of: Of) -> Fault:
    mix, synthetic, fid = of(Mix), of(Synthetic), of(Fid)
    if mix.most_synthetic > 0 and synthetic.source == "none":
        what = f"lambda is {mix.lambda_}, but synthetic.source is none"
        return what, "Set lambda to 0 or choose a synthetic.source."
    if synthetic.source == "generator" and synthetic.count > synthetic.keep * synthetic.pool:
        what = f"synthetic.count is {synthetic.count}, but keep {synthetic.keep} of pool {synthetic.pool} leaves fewer"
        return what, "Lower synthetic.count or raise synthetic.pool or synthetic.keep."
    if synthetic.source != "none" and fid.n > synthetic.count:
        what = f"fid.n is {fid.n}, but synthetic.count is {synthetic.count}"
        return what, "Lower fid.n or raise synthetic.count."
    return None


def _schedules(of: Of) -> Fault:
    mix, epochs = of(Mix), of(Train).epochs
    for name in Shares._fields:
        value = getattr(mix, name)
        if isinstance(value, Schedule) and value.steps[-1][0] >= epochs:
            what = f"{name.strip('_')} changes in epoch {value.steps[-1][0]}, but train.epochs is {epochs}"
            return what, f"Leave out what comes after epoch {epochs - 1}, the last one, or raise train.epochs."
    return None


def _sizes(of: Of) -> Fault:
    size, crop = of(Dataset).size, of(Augment).crop
    if of(Synthetic).source == "generator" and size % 8:
        what = f"dataset.size is {size}, but the generator needs a multiple of 8"
        return what, "Change it, or choose another synthetic.source."
    if crop >= size:
        return f"augment.crop is {crop}, but the images have {size} px", "Choose a padding smaller than the images."
    distorted = of(Augment).deepaugment
    if distorted.share > 0 and distorted.size < size:  # what is taken away does not come back
        what = f"augment.deepaugment.size is {distorted.size}, but the images have {size} px"
        return what, f"Choose {size} or an odd multiple of it; set augment.deepaugment.share to 0 to do without."
    deepest = (of(Model).taps or [1])[-1]
    if of(Model).name != "timm" and size < LEAST * deepest:  # of timm's some resize, as the network itself tells
        what = f"model.taps has stride {deepest}, which leaves {size} px fewer than {LEAST} x {LEAST} positions"
        return what, f"Leave out strides above {size // LEAST}, or raise dataset.size."
    return None


def _blocks(of: Of) -> Fault:
    name = of(Model).name
    blocks = BLOCKS.get(name)  # None: only the network itself tells
    opened = [("train.open", of(Train).open or 0), *(("finetune.stages", step.open) for step in of(Finetune).stages)]
    for leaf, count in opened:
        if blocks and count > blocks:
            what = f"{leaf} opens {count} blocks, but model.name {name} has {blocks}"
            return what, f"Open {blocks} at most."
    return None


def _copies(of: Of) -> Fault:
    balance, bank = of(Balance), of(Style).bank
    if balance.styles == "class" and bank != "training":
        what = f"balance.styles is class, but style.bank is {bank}, whose styles have no classes"
        return what, "Set style.bank to training, or balance.styles to any."
    if of(Finetune).copies != "kept" and of(Finetune).stages and not balance.copies:
        what = f"finetune.copies is {of(Finetune).copies}, but balance makes no copies"
        return what, "Set finetune.copies to kept, or balance.p1 or balance.p2 above 0."
    if balance.copies and balance.copy_ == "reconstruction" and of(Style).method == "colour":
        what = "balance.copy is reconstruction, but style.method is colour, which has no decoder"
        return what, "Set style.method to adain, or balance.copy to duplicate, which is the same for colours."
    if balance.copies and balance.copy_ == "rules" and not of(Augment).trivial:
        what = "balance.copy is rules, but augment.trivial is false"
        return what, "Set augment.trivial to true: it then acts on copies alone."
    return None


def _places(of: Of) -> Fault:
    kind = of(Augment).feature_noise
    if kind != "none" and of(Model).name == "timm":
        what = f"augment.feature_noise is {kind}, but model.name is timm, whose features nothing reaches"
        return what, "Set it to none; augment.noise and augment.mixup act on the input."
    return None
