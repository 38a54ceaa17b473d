"""Fetch the original images and convert them once to arrays."""

from __future__ import annotations

from impasto.config.dataset import Dataset
from impasto.data.sources.registry import fetch
from impasto.stages.command import PARAMS, In, Out, Params, command, log_dataset, run, stage


@command
def download(token: In, train: Out, test: Out, timing: Out, params: Params = PARAMS) -> None:
    """Write the training images and, apart from them, the test images."""
    with stage("download", params, timing, check=token) as this:
        for folder, images in zip((train, test), fetch(this.load(Dataset)), strict=True):
            images.save(folder)
            log_dataset(this.run, folder)
            this.run.metrics({f"{folder.name}_images": len(images)})


if __name__ == "__main__":
    run(download)
