"""Measure the Fréchet distance of the synthetic images over the whole range of lambda_s."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from impasto.config.fid import Fid
from impasto.config.mix import Strength
from impasto.config.seed import Seed
from impasto.config.style import Style
from impasto.data.images import Images
from impasto.fid.curve import FrechetCurve, draw_uniforms, grid, measure_curve
from impasto.fid.extractors import extractor, feature_moments
from impasto.io import read_json, read_npy, write_csv, write_record
from impasto.rng import generator
from impasto.runtime import device
from impasto.stages.command import PARAMS, In, Out, Params, Stage, command, run, stage
from impasto.style.stylize import load_painter

BATCH = 250


@command
def fid(
    images: In,
    split: In,
    pool: In,
    synthetic: In,
    style: In,
    out: Out,
    curve: Out,
    timing: Out,
    params: Params = PARAMS,
) -> None:
    """Write the Fréchet curve, with the identity of the measure; an empty one where there are no synthetic images."""
    inputs = {"images": images, "split": split, "pool": pool, "synthetic": synthetic, "style": style}
    with stage("fid", params, timing, **inputs) as this:
        found = _measure(this) if len(read_npy(synthetic / "index.npy")) else None
        rows = (
            [{"lambda_s": p, "distance": v} for p, v in zip(found.points, found.values, strict=True)] if found else []
        )
        write_record(out, asdict(found) if found else {"points": [], "values": []})
        write_csv(curve, ["lambda_s", "distance"], rows)
        for step, row in enumerate(rows):
            this.run.metrics(row, step=step)


def _measure(this: Stage) -> FrechetCurve:
    """The curve of the first n selected images, drawn in a seeded order, against the training split."""
    config, seed, where = this.load(Fid), this.load(Seed).seed, device()
    originals, pool = Images.load(this.inputs["images"]), Images.load(this.inputs["pool"])
    index = read_npy(this.inputs["synthetic"] / "index.npy")
    chosen = torch.randperm(len(index), generator=generator(seed, "fid-images"))[: config.n].sort().values.numpy()
    low, high = this.load(Strength).alpha_s
    alpha = low + (high - low) * torch.rand(config.n, generator=generator(seed, "fid-alpha"))
    painter = load_painter(this.inputs["style"], this.load(Style), where, "fp32")
    count = read_json(this.inputs["style"] / "meta.json")["styles"]
    styles = torch.randint(count, (config.n,), generator=generator(seed, "fid-style"))

    def stylise(part: Tensor, rows: Tensor) -> Tensor:
        return painter(part.to(where), styles[rows], alpha[rows])

    measure = extractor(config.extractor, where, Path(config.weights) if config.weights else None)
    reference = feature_moments(measure, originals.pixels[read_npy(this.inputs["split"] / "train.npy")])
    uniforms = draw_uniforms(len(chosen), generator(seed, "fid-uniform"))
    return measure_curve(measure, pool.pixels[index[chosen]], stylise, uniforms, reference, grid(config.points), BATCH)


if __name__ == "__main__":
    run(fid)
