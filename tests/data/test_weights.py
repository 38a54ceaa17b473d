"""Weight files: what is read equals what was written, and nothing else is accepted."""

from __future__ import annotations

import io
import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from damaged import damaged, read_or_fault
from impasto.data.origin import Origin
from impasto.data.weights import load_weights, read_weights, save_weights, shapes
from impasto.errors import ImpastoError

ORIGIN = Origin("net.pth", 12, "ab" * 32, "cd" * 20, published=True)
WANTED = {"0.weight": torch.Size([4, 3]), "0.bias": torch.Size([4])}


def tensors(**changes: Any) -> dict[str, Any]:
    source = torch.Generator().manual_seed(0)
    found = {name: torch.randn(shape, generator=source) for name, shape in WANTED.items()}
    return {name: value for name, value in (found | changes).items() if value is not None}


@pytest.mark.parametrize("zipped", [True, False], ids=["present format", "old format"])
def test_every_bit_is_read(tmp_path: Path, zipped: bool) -> None:
    stored = tensors(**{"0.weight": torch.randn(3, 4).T, "1.num_batches_tracked": torch.tensor(7)})
    torch.save(dict(reversed(stored.items())), tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    found = read_weights(tmp_path / "net.pth", WANTED)
    assert list(found) == list(WANTED)
    assert all(torch.equal(found[name], stored[name]) and found[name].is_contiguous() for name in WANTED)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"0.bias": None}, "lacks '0.bias' and 0 more of 2 tensors"),
        ({"3.weight": torch.zeros(1)}, "holds '3.weight' and 0 more tensors that the network does not have"),
        ({"0.weight": torch.zeros(3, 4)}, r"'0.weight' as float32 \[3, 4\], expected float32 \[4, 3\]"),
        ({"0.bias": torch.zeros(4, dtype=torch.float16)}, r"'0.bias' as float16 \[4\], expected float32 \[4\]"),
        ({"0.bias": torch.tensor([0, 1, float("nan"), 0])}, "entries in '0.bias' that are not finite"),
        ({"0.bias": "text"}, "holds no tensors by name"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    torch.save(tensors(**changes), tmp_path / "net.pth")
    with pytest.raises(ImpastoError, match=fault):
        read_weights(tmp_path / "net.pth", WANTED)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch was-here",)


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04 no archive", pickle.dumps({"a": 1}, 2)])
def test_garbage_is_no_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(ImpastoError, match="cannot be read as weights|holds no tensors"):
        read_weights(tmp_path / "net.pth", WANTED)


def stored(zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors(), buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


OLD, NEW = stored(zipped=False), stored(zipped=True)
KEY = re.search(rb"FloatStorage\nq.X\x0e\x00\x00\x00(\d+)", OLD)
assert KEY
BROKEN = {
    "a key of no storage": OLD.replace(KEY[1], b"9" * len(KEY[1]), 1),
    "half of a number": OLD[:28],
    "no argument of an opcode": OLD[:49],
    "neither format": b"." + NEW[1:],
    "a storage that is not there": NEW.replace(b"archive/data/1", b"archive/data/8"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_damage_is_told_in_one_short_line(tmp_path: Path, content: bytes) -> None:
    """torch.load raises AssertionError, struct.error, IndexError and more; it speaks of unsafe ways out at length."""
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(ImpastoError, match=r"net.pth cannot be read as weights \(.+\)") as caught:
        read_weights(tmp_path / "net.pth", WANTED)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@settings(max_examples=40)
@given(st.one_of(damaged(OLD), damaged(NEW)))
def test_damage_is_an_error_that_can_be_mended_or_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.pth"
    found = read_or_fault(path, content, lambda file: read_weights(file, WANTED))
    assert found.startswith(f"{path} ") if isinstance(found, str) else found.keys() == WANTED.keys()


@pytest.mark.filterwarnings("ignore:Validating sparse")
@pytest.mark.parametrize("other", [torch.zeros(4, 3).to_sparse(), torch.zeros(4, 3, device="meta")])
def test_tensors_without_entries_are_refused(tmp_path: Path, other: Tensor) -> None:
    torch.save(tensors(**{"0.weight": other}), tmp_path / "net.pth")
    with pytest.raises(ImpastoError, match="holds no tensors by name"):
        read_weights(tmp_path / "net.pth", WANTED)


def test_damaged_safetensors_are_an_error(tmp_path: Path) -> None:
    save_weights(tmp_path / "whole", tensors(), ORIGIN)
    whole = (tmp_path / "whole").read_bytes()
    for content in (whole[:9], whole[:60], whole.replace(b"F32", b"XYZ", 1), whole.replace(b"sha256", b"sha255")):
        (tmp_path / "net.safetensors").write_bytes(content)
        with pytest.raises(ImpastoError, match=r"net.safetensors is no file of converted weights \(.+\)"):
            load_weights(tmp_path / "net.safetensors", WANTED)


def test_no_code_is_run(root: Path) -> None:
    torch.save(tensors(**{"0.bias": Malicious()}), root / "net.pth")
    with pytest.raises(ImpastoError, match="cannot be read as weights"):
        read_weights(root / "net.pth", WANTED)
    assert not (root / "was-here").exists()
    with pytest.raises(ImpastoError, match="does not exist"):
        read_weights(root / "absent.pth", WANTED)


def test_safetensors_keep_the_bits_and_the_origin(tmp_path: Path) -> None:
    file, stored = tmp_path / "new" / "net.safetensors", tensors()
    save_weights(file, stored, ORIGIN)
    found, origin = load_weights(file, WANTED)
    assert origin == ORIGIN and list(found) == list(WANTED)
    assert all(torch.equal(found[name], stored[name]) for name in WANTED)
    first = file.read_bytes()
    save_weights(file, stored, ORIGIN)
    assert file.read_bytes() == first and list(file.parent.iterdir()) == [file]


def test_other_safetensors_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    with pytest.raises(ImpastoError, match="does not exist"):
        load_weights(file, WANTED)
    save_file(tensors(), file)
    with pytest.raises(ImpastoError, match="no file of converted weights"):
        load_weights(file, WANTED)
    file.write_bytes(b"nothing")
    with pytest.raises(ImpastoError, match="no file of converted weights"):
        load_weights(file, WANTED)
    save_weights(file, tensors(**{"0.bias": torch.zeros(5)}), ORIGIN)
    with pytest.raises(ImpastoError, match=r"'0.bias' as float32 \[5\]"):
        load_weights(file, WANTED)


def test_shapes_leave_counters_out() -> None:
    found = shapes(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    expected: dict[str, Tensor] = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).state_dict()
    assert found == {name: t.shape for name, t in expected.items() if name != "1.num_batches_tracked"}
