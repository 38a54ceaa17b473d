"""Divide the training images into a training and a validation split."""

from __future__ import annotations

import numpy as np

from impasto.config.balance import Balance
from impasto.config.dataset import Dataset
from impasto.config.seed import Seed
from impasto.copies_per_class import require_classes
from impasto.data.grouped import grouped
from impasto.data.images import Images, stratified
from impasto.data.long_tail import long_tail
from impasto.io import write_json, write_npy
from impasto.rng import numpy_generator
from impasto.stages.command import PARAMS, In, Out, Params, command, run, stage


@command
def split(images: In, out: Out, timing: Out, params: Params = PARAMS) -> None:
    """Write the rows of both splits. What is fitted later sees the training split only.

    The dataset's own validation split is taken where it has one; else a seed divides, stratified by class, and by
    groups where the dataset names what must stay together. A long tail is cut from the training split alone.
    A class that ``balance`` names and that there is none of is told here, not after minutes of other stages.
    """
    with stage("split", params, timing, images=images) as this:
        originals, config, seed = Images.load(images), this.load(Dataset), this.load(Seed).seed
        require_classes(originals.classes, this.load(Balance))
        train, validation = _divide(originals, config.validation, numpy_generator(seed, "split"))
        if config.imbalance > 1:
            train = train[long_tail(originals.labels[train], config.imbalance, seed)]
        rows = {"train": train, "validation": validation}
        for name, part in rows.items():
            write_npy(out / f"{name}.npy", part)
        write_json(out / "meta.json", {name: originals.take(part).counts() for name, part in rows.items()})
        this.run.metrics({f"{name}_images": len(part) for name, part in rows.items()})


def _divide(originals: Images, share: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if originals.validation is not None:
        return np.setdiff1d(np.arange(len(originals)), originals.validation), originals.validation
    if originals.groups is not None:
        return grouped(originals.labels, originals.groups, share, generator, originals.classes)
    return stratified(originals.labels, share, generator, originals.classes)


if __name__ == "__main__":
    run(split)
