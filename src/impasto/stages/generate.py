"""Make the pool of synthetic images: fit the generator and sample it, or take images that exist already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from impasto.checkpoint import Resume
from impasto.config.seed import Seed
from impasto.config.synthetic import Synthetic
from impasto.data.images import Images, to_device
from impasto.io import read_npy
from impasto.picture import grid, write_png
from impasto.runtime import device
from impasto.stages.command import PARAMS, In, Out, Params, Stage, command, run, stage
from impasto.synthetic.clean import tolerance_for
from impasto.synthetic.fit import fit_generator
from impasto.synthetic.published import convert_pool
from impasto.synthetic.quota import interleaved, quotas
from impasto.synthetic.sample import sample_pool
from impasto.synthetic.source import folder_pool, no_images
from impasto.workspace import main_root

COLUMNS, ROWS = 12, 10  # of the picture


@command
def generate(images: In, split: In, out: Out, picture: Out, timing: Out, params: Params = PARAMS) -> None:
    """Write the pool as images with labels, and a grid of samples."""
    with stage("generate", params, timing, images=images, split=split) as this:
        config, originals = this.load(Synthetic), Images.load(images)
        resume = this.resume("generator")
        if config.source == "generator":
            _sample(this, originals, resume).save(out)
        elif config.source == "npz":
            convert_pool(str(config.root), originals, out)
        elif config.source == "folder":
            folder_pool(main_root() / Path(str(config.root)).expanduser(), originals).save(out)
        else:
            no_images(originals).save(out)
        pool = Images.load(out)
        write_png(picture, _sheet(pool))
        this.run.metrics({"pool": len(pool)})
        this.run.artifact(picture)
        resume.finish()


def _sample(this: Stage, originals: Images, resume: Resume) -> Images:
    """Fit the generator to the training split and sample the pool, with the classes in the split's proportions."""
    config, seed = this.load(Synthetic), this.load(Seed).seed
    train = originals.take(read_npy(this.inputs["split"] / "train.npy"))
    pixels, labels = to_device(train.pixels, device()), to_device(train.labels, device())
    fitted = fit_generator(pixels, labels, len(train.classes), config.generator, seed, resume)
    for step in range(0, len(fitted.losses), 20):
        this.run.metrics({"loss": float(fitted.losses[step : step + 20].mean())}, step=step)
    counts = np.bincount(train.labels, minlength=len(train.classes))
    wanted = interleaved(quotas(counts, config.pool))
    tolerance = tolerance_for(pixels, config.generator.clean_tolerance)
    settings = config.generator.model_copy(update={"clean_tolerance": tolerance})
    sampled = sample_pool(fitted.network, wanted, pixels.shape[-1], settings, seed, resume.folder / "samples")
    return Images(sampled, wanted, train.classes, f"EDM generator fitted to {len(train)} images of: {train.source}")


def _sheet(pool: Images) -> np.ndarray:
    """One row per class, or one white pixel where there is no pool."""
    if not len(pool):
        return np.full((1, 1, 3), 255, np.uint8)
    classes = np.unique(pool.labels)[:ROWS]
    rows = np.stack([np.resize(np.flatnonzero(pool.labels == label)[:COLUMNS], COLUMNS) for label in classes], 1)
    return grid([torch.from_numpy(np.array(pool.pixels[column])) for column in rows])


if __name__ == "__main__":
    run(generate)
