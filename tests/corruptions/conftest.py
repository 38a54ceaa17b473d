"""Images for the tests of the corruptions: made ones, and real ones where they are at hand."""

import os
import pickle
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tiny import ROOT

ARCHIVE = "cifar-10-subset.tar.gz"


def _find_archive() -> Path | None:
    """The archive in the folder that IMPASTO_TEST_DATA names."""
    file = Path(os.environ.get("IMPASTO_TEST_DATA", "/nowhere")) / ARCHIVE
    return file if file.is_file() else None


@pytest.fixture(scope="session")
def real_images() -> Tensor:
    """200 CIFAR-10 test images, 20 of each class, uint8 [200, 3, 32, 32]."""
    archive = _find_archive()
    if archive is None:
        pytest.skip(f"{ARCHIVE} not found: set IMPASTO_TEST_DATA to the folder that holds it")
    with tarfile.open(archive) as tar:
        member = tar.extractfile("cifar-10-batches-py/test_batch")
        assert member is not None
        batch = pickle.load(member, encoding="bytes")
    labels = np.array(batch[b"labels"])
    rows = np.concatenate([np.flatnonzero(labels == label)[:20] for label in range(10)])
    return torch.from_numpy(np.asarray(batch[b"data"])[rows]).view(-1, 3, 32, 32)


@pytest.fixture(scope="session")
def claims() -> dict[str, tuple[int, float]]:
    """The last column of docs/corruptions.md: the largest difference and the share of values that may differ."""
    text = (ROOT / "docs" / "corruptions.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| [^|]+ \| [^|]+ \| (\d+)(?:; ([\d.]+) %)?(?:,[^|]*)? \|$", text, re.MULTILINE)
    return {name: (int(most), round(float(share or 0) / 100, 9)) for name, most, share in rows}


@pytest.fixture
def images() -> Tensor:
    """24 made images, uint8 [24, 3, 32, 32]: noise, gradients, flat colours, greys, black and white."""
    generator = torch.Generator().manual_seed(5)
    batch = torch.randint(0, 256, (24, 3, 32, 32), generator=generator, dtype=torch.uint8)
    ramp = torch.arange(32).mul(8).expand(32, 32)
    batch[4:8] = torch.stack((ramp, ramp.T, 255 - ramp)).byte()
    batch[8:14] = batch[8:14, :, :1, :1]
    batch[14:18] = batch[14:18, :1]
    batch[18:20] = batch[18:20] // 64 * 64
    batch[20], batch[21] = 0, 255
    return batch
