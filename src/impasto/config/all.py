"""The whole of params.yaml at once: for the check, the presets and the documentation."""

from __future__ import annotations

from pathlib import Path

from impasto.config.augment import Augment
from impasto.config.balance import Balance
from impasto.config.base import Section, nearest, pick, read_yaml
from impasto.config.dataset import Dataset
from impasto.config.evaluate import Evaluate
from impasto.config.fid import Fid
from impasto.config.finetune import Finetune
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.seed import Seed, Seeds
from impasto.config.style import Style
from impasto.config.synthetic import Synthetic
from impasto.config.train import Train
from impasto.errors import ImpastoError

#: In the order of params.yaml.
SECTIONS: tuple[type[Section], ...] = (
    Seed, Seeds, Mix, Dataset, Synthetic, Style, Balance, Augment, Model, Train, Finetune, Evaluate, Fid,
)  # fmt: skip


def check(path: Path) -> dict[type[Section], Section]:
    """Validate every section and what they must agree on.

    Raises:
        ImpastoError: names the first fault.
    """
    tree, keys = read_yaml(path), [key for section in SECTIONS for key in _keys(section)]
    for key in tree:
        if key not in keys:
            raise ImpastoError(f"unknown key {key!r}", where=str(path), remedy=nearest(str(key), keys))
    found = {section: pick(tree, section, path) for section in SECTIONS}
    _agree(found, path)
    return found


def _keys(section: type[Section]) -> list[str]:
    return [section.key] if section.key else [field.alias or name for name, field in section.model_fields.items()]


def _agree(found: dict[type[Section], Section], path: Path) -> None:
    dataset, mix, synthetic, style, fid = (found[section] for section in (Dataset, Mix, Synthetic, Style, Fid))
    assert isinstance(mix, Mix) and isinstance(synthetic, Synthetic)
    assert isinstance(style, Style) and isinstance(fid, Fid) and isinstance(dataset, Dataset)
    for key, kind, root in (
        ("synthetic.source", synthetic.source, synthetic.root),
        ("style.bank", style.bank, style.root),
    ):
        section = key.split(".")[0]
        if (kind in {"folder", "npz"}) != bool(root):
            state = f"{section}.root is {root!r}" if root else f"{section}.root is null"
            remedy = f"Change {key} or {section}.root: only a folder or a file has one."
            raise ImpastoError(f"{key} is {kind}, but {state}", where=str(path), remedy=remedy)
    if mix.lambda_ > 0 and synthetic.source == "none":
        raise ImpastoError(
            f"lambda is {mix.lambda_}, but synthetic.source is none",
            where=str(path),
            remedy="Set lambda to 0 or choose a synthetic.source.",
        )
    if synthetic.source == "generator" and synthetic.count > synthetic.keep * synthetic.pool:
        raise ImpastoError(
            f"synthetic.count is {synthetic.count}, but keep {synthetic.keep} of pool {synthetic.pool} leaves fewer",
            where=str(path),
            remedy="Lower synthetic.count or raise synthetic.pool or synthetic.keep.",
        )
    size = dataset.size
    if synthetic.source == "generator" and size % 8:
        raise ImpastoError(
            f"dataset.size is {size}, but the generator needs a multiple of 8",
            where=str(path),
            remedy="Change it, or choose another synthetic.source.",
        )
    if synthetic.source != "none" and fid.n > synthetic.count:
        raise ImpastoError(
            f"fid.n is {fid.n}, but synthetic.count is {synthetic.count}",
            where=str(path),
            remedy="Lower fid.n or raise synthetic.count.",
        )
