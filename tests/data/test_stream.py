"""What a stream keeps on its device, and what it reads batch by batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from impasto.data.stream import Stream, room
from tiny import CPU, SIZE, pictures

ROWS = np.array([5, 3, 11, 7, 2])
BYTES = len(ROWS) * 3 * SIZE * SIZE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.save(tmp_path / "images.npy", pictures(12)[0])
    return tmp_path / "images.npy"


def test_what_is_too_large_is_read_from_the_file_batch_by_batch(file: Path) -> None:
    """What changes in the file is seen by a stream that kept no copy, and by no other."""
    kept, mapped = (
        Stream(np.load(file, mmap_mode="r"), pictures(12)[1], ROWS, CPU, size) for size in (BYTES, BYTES - 1)
    )
    before = kept.gather(torch.tensor([1])).clone()
    np.load(file, mmap_mode="r+")[3] = 255
    assert torch.equal(kept.gather(torch.tensor([1])), before) and int(before.min()) < 255
    assert int(mapped.gather(torch.tensor([1])).min()) == 255


def test_the_processes_of_a_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert room(CPU) == 4 << 30
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert room(CPU) == 1 << 30


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_quarter_of_what_is_free_on_a_gpu() -> None:
    free = torch.cuda.mem_get_info()[0]
    assert room(torch.device("cuda")) == pytest.approx(free / 4, rel=0.05)
