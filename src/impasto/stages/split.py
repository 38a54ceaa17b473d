"""Divide the training images into a training and a validation split."""

from __future__ import annotations

from impasto.config.dataset import Dataset
from impasto.config.seed import Seed
from impasto.data.images import Images, stratified
from impasto.io import write_json, write_npy
from impasto.rng import numpy_generator
from impasto.stages.command import PARAMS, In, Out, Params, command, run, stage


@command
def split(images: In, out: Out, timing: Out, params: Params = PARAMS) -> None:
    """Write the rows of both splits, stratified by class. What is fitted later sees the training split only."""
    with stage("split", params, timing, images=images) as this:
        originals, share = Images.load(images), this.load(Dataset).validation
        parts = stratified(originals.labels, share, numpy_generator(this.load(Seed).seed, "split"), originals.classes)
        rows = dict(zip(("train", "validation"), parts, strict=True))
        for name, part in rows.items():
            write_npy(out / f"{name}.npy", part)
        write_json(out / "meta.json", {name: originals.take(part).counts() for name, part in rows.items()})
        this.run.metrics({f"{name}_images": len(part) for name, part in rows.items()})


if __name__ == "__main__":
    run(split)
