"""Corrupted sets written here: their content, their layout, and what survives a killed run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from impasto.corrupted import make, manifest
from impasto.corrupted.make import plan, regenerate
from impasto.corrupted.stored import StoredSet
from impasto.corruptions.registry import corrupt
from impasto.data.images import Images
from impasto.errors import ImpastoError
from impasto.io import digest
from tiny import CPU, SIZE, pictures

NAMES = ("fog", "contrast")
CLASSES = ("a", "b", "c", "d")


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A folder of 11 images."""
    Images(*pictures(11), CLASSES, "made here").save(tmp_path / "clean")
    return tmp_path / "clean"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images a batch."""
    monkeypatch.setattr(make, "_BATCH_PIXELS", 4 * SIZE * SIZE)


def write(clean: Path, out: Path, *names: str, seed: int = 0, severities: tuple[int, ...] = (1, 2, 3, 4, 5),
          table: str = "auto", layout: str = "npy") -> list[str]:  # fmt: skip
    return regenerate(clean, out, names or NAMES, plan(clean, seed, table, severities, layout), CPU)


def on_the_fly(clean: Path, name: str, severity: int, seed: int = 0, table: str = "cifar") -> np.ndarray:
    pixels = torch.from_numpy(np.array(Images.load(clean).pixels))
    return corrupt(pixels, name, severity, seed, torch.arange(len(pixels)), table).permute(0, 2, 3, 1).numpy()


def content(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_arrays_are_severity_major_and_equal_to_what_evaluation_makes(clean: Path, tmp_path: Path) -> None:
    assert write(clean, tmp_path / "set", seed=3) == ["fog", "contrast"]
    labels = np.load(tmp_path / "set" / "labels.npy")
    assert labels.dtype == np.uint8 and np.array_equal(labels, np.tile(np.arange(11) % 4, 5))
    for name in NAMES:
        found = np.load(tmp_path / "set" / f"{name}.npy")
        assert found.dtype == np.uint8 and found.shape == (55, SIZE, SIZE, 3) and found.flags.c_contiguous
        for severity in range(1, 6):
            want = on_the_fly(clean, name, severity, seed=3)
            assert np.array_equal(found[(severity - 1) * 11 : severity * 11], want)


def test_an_array_has_the_size_of_the_published_ones(clean: Path, tmp_path: Path) -> None:
    """The header of CIFAR-10-C's files takes 128 bytes as well."""
    write(clean, tmp_path / "set", "fog")
    assert (tmp_path / "set" / "fog.npy").stat().st_size == 128 + 55 * SIZE * SIZE * 3


def test_folders_hold_jpeg_files_of_quality_85(clean: Path, tmp_path: Path) -> None:
    write(clean, tmp_path / "set", "contrast", severities=(2, 5), layout="folders", table="tin")
    assert sorted(p.name for p in (tmp_path / "set" / "contrast").iterdir()) == ["2", "5"]
    for severity in (2, 5):
        want = on_the_fly(clean, "contrast", severity, table="tin")
        for row in range(11):
            file = tmp_path / "set" / "contrast" / str(severity) / CLASSES[row % 4] / f"{row:02}.JPEG"
            buffer = BytesIO()
            Image.fromarray(want[row]).save(buffer, "JPEG", quality=85, optimize=True)
            assert file.read_bytes() == buffer.getvalue()
            with Image.open(file) as image:
                assert image.layer[0][1:3] == (2, 2)  # type: ignore[attr-defined]  # sampling of luma: 4:2:0
    assert len(content(tmp_path / "set" / "contrast")) == 22


def test_a_class_without_images_has_a_folder(tmp_path: Path) -> None:
    pixels, _ = pictures(4)
    Images(pixels, np.array([0, 0, 2, 2]), ("a", "b", "c"), "made").save(tmp_path / "clean")
    write(tmp_path / "clean", tmp_path / "set", "contrast", severities=(1,), layout="folders")
    assert StoredSet(tmp_path / "set").labels("contrast", 1).tolist() == [0, 0, 2, 2]


def test_the_layout_is_that_of_the_published_set_of_the_size(clean: Path) -> None:
    kinds = {table: plan(clean, 0, table, (1,), "auto").layout for table in ("auto", "cifar", "tin", "imagenet")}
    assert kinds == {"auto": "npy", "cifar": "npy", "tin": "folders", "imagenet": "folders"}


@pytest.mark.parametrize(("classes", "kind"), [(256, np.uint8), (257, np.int64)])
def test_many_classes_need_wider_labels(tmp_path: Path, classes: int, kind: type) -> None:
    pixels, _ = pictures(2)
    names = tuple(f"{n:03}" for n in range(classes))
    Images(pixels, np.array([1, classes - 1]), names, "made").save(tmp_path / "clean")
    write(tmp_path / "clean", tmp_path / "set", "contrast")
    found = np.load(tmp_path / "set" / "labels.npy")
    assert found.dtype == kind and found.tolist() == [1, classes - 1] * 5


@pytest.mark.parametrize("layout", ["npy", "folders"])
def test_what_is_finished_is_not_made_again(clean: Path, tmp_path: Path, layout: str) -> None:
    write(clean, tmp_path / "set", "fog", layout=layout)
    before = content(tmp_path / "set")
    assert write(clean, tmp_path / "set", layout=layout) == ["contrast"]
    assert write(clean, tmp_path / "set", layout=layout) == []
    after = content(tmp_path / "set")
    assert all(after[name] == text for name, text in before.items() if name.startswith("fog"))
    write(clean, tmp_path / "once", layout=layout)
    once = content(tmp_path / "once")
    assert {n: t for n, t in after.items() if "md5" not in n} == {n: t for n, t in once.items() if "md5" not in n}


@pytest.mark.parametrize("layout", ["npy", "folders"])
def test_a_part_that_was_damaged_since_is_made_again(clean: Path, tmp_path: Path, layout: str) -> None:
    write(clean, tmp_path / "set", layout=layout)
    whole = content(tmp_path / "set")
    victim = next(n for n in whole if n.startswith("fog") and not n.startswith("."))
    (tmp_path / "set" / victim).write_bytes(whole[victim][:-1])
    assert write(clean, tmp_path / "set", layout=layout) == ["fog"]
    (tmp_path / "set" / victim).unlink()
    assert write(clean, tmp_path / "set", layout=layout) == ["fog"]
    assert content(tmp_path / "set")[victim] == whole[victim]


KILL = """
import os, sys
from pathlib import Path
import torch
from impasto.corrupted import make
calls, real = [], make.corrupt
def dying(pixels, name, *rest):
    calls.append(name)
    if calls.count("contrast") == 7:
        os._exit(9)
    return real(pixels, name, *rest)
make.corrupt, make._BATCH_PIXELS = dying, int(sys.argv[4])
clean, out = Path(sys.argv[1]), Path(sys.argv[2])
planned = make.plan(clean, 0, "auto", (1, 2, 3, 4, 5), sys.argv[3])
make.regenerate(clean, out, ["fog", "contrast"], planned, torch.device("cpu"))
"""


@pytest.mark.parametrize("layout", ["npy", "folders"])
def test_a_killed_run_leaves_nothing_half_and_is_taken_up(clean: Path, tmp_path: Path, layout: str) -> None:
    words = [sys.executable, "-c", KILL, str(clean), str(tmp_path / "set"), layout, str(4 * SIZE * SIZE)]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 9
    left = StoredSet(tmp_path / "set")
    assert left.names == ("fog",) and any(p.name.endswith(".part") for p in (tmp_path / "set").iterdir())
    left.verify()
    assert write(clean, tmp_path / "set", layout=layout) == ["contrast"]
    write(clean, tmp_path / "once", layout=layout)
    once = content(tmp_path / "once")
    assert {name: text for name, text in content(tmp_path / "set").items() if "md5" not in name} == once


@pytest.mark.slow
def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from impasto.data.images import Images
from impasto.corrupted.make import plan, regenerate
torch.set_num_threads(1)
for n in (2000, 40000):
    clean = Path(sys.argv[1]) / str(n)
    clean.mkdir()
    pixels = np.lib.format.open_memmap(clean / "images.npy", "w+", np.uint8, (n, 3, 32, 32))
    del pixels
    Images(np.load(clean / "images.npy", mmap_mode="r"), np.zeros(n, np.int64), ("a",), "made").describe(clean)
    planned = plan(clean, 0, "cifar", (1,), "npy")
    regenerate(clean, clean / "set", ["contrast"], planned, torch.device("cpu"))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    small, large = map(int, done.stdout.split())
    assert large - small < 40, "MB; the larger set has 123 MB and so has its corrupted copy"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 1}, "seed 0 instead of 1"),
        ({"table": "tin"}, "table cifar instead of tin"),
        ({"severities": (1, 3)}, "severities 1,2,3,4,5 instead of 1,3"),
        ({"layout": "folders"}, "layout npy instead of folders"),
        ({"seed": 2, "table": "imagenet"}, "seed 0 instead of 2; table cifar instead of imagenet"),
    ],
)
def test_another_configuration_is_refused(clean: Path, tmp_path: Path, changes: dict[str, object], told: str) -> None:
    write(clean, tmp_path / "set")
    before = content(tmp_path / "set")
    with pytest.raises(ImpastoError, match=f"holds a set made with {told}"):
        write(clean, tmp_path / "set", **changes)  # type: ignore[arg-type]
    assert content(tmp_path / "set") == before


def test_other_images_versions_and_code_are_refused(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(clean, tmp_path / "set")
    Images(*pictures(11, seed=1), CLASSES, "made here").save(tmp_path / "other")
    with pytest.raises(ImpastoError, match="images .* instead of"):
        write(tmp_path / "other", tmp_path / "set")
    facts = json.loads((tmp_path / "set" / "impasto.json").read_text())
    for key in ("version", "code"):
        (tmp_path / "set" / "impasto.json").write_text(json.dumps(facts | {key: "0.0.9"}))
        with pytest.raises(ImpastoError, match=f"{key} 0.0.9 instead of"):
            write(clean, tmp_path / "set")


@pytest.mark.parametrize("name", ["fog.npy", "frost", "labels.npy"])
def test_a_folder_with_files_of_others_is_refused(clean: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_text("precious")
    (tmp_path / "set" / ".archive.tar.part").write_text("half a download")
    with pytest.raises(ImpastoError, match=rf"holds {name}, which impasto did not write"):
        write(clean, tmp_path / "set")
    assert content(tmp_path / "set") == {name: b"precious", ".archive.tar.part": b"half a download"}


def test_a_file_in_place_of_the_folder(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "set").write_text("precious")
    with pytest.raises(ImpastoError, match="set is a file"):
        write(clean, tmp_path / "set")


@pytest.mark.parametrize(("layout", "victim"), [("npy", "fog"), ("folders", "fog"), ("npy", "labels")])
def test_a_byte_that_was_changed_since_is_noticed(clean: Path, tmp_path: Path, layout: str, victim: str) -> None:
    write(clean, tmp_path / "set", layout=layout)
    file = next(n for n in sorted(content(tmp_path / "set")) if n.startswith(victim) and not n.startswith("."))
    path = tmp_path / "set" / file
    whole = path.read_bytes()
    path.write_bytes(whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:])
    os.utime(path, (1, 1))
    with pytest.raises(ImpastoError, match="md5"):
        StoredSet(tmp_path / "set").verify()
    assert write(clean, tmp_path / "set", layout=layout) == ([] if victim == "labels" else ["fog"])
    assert path.read_bytes() == whole
    StoredSet(tmp_path / "set").verify()


def test_a_file_of_a_folder_that_is_gone_is_noticed(clean: Path, tmp_path: Path) -> None:
    write(clean, tmp_path / "set", "fog", layout="folders")
    next((tmp_path / "set" / "fog").rglob("*.JPEG")).unlink()
    with pytest.raises(ImpastoError, match="holds"):
        StoredSet(tmp_path / "set").verify()
    assert write(clean, tmp_path / "set", "fog", layout="folders") == ["fog"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"seed": 0}'])
def test_a_damaged_manifest(clean: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / manifest.NAME).write_text(text)
    with pytest.raises(ImpastoError, match=r"impasto.json.*Delete the folder"):
        write(clean, tmp_path / "set")


def test_two_processes(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with FileLock(tmp_path / "set" / ".lock"), pytest.raises(ImpastoError, match="another process writes to"):
        write(clean, tmp_path / "set")


def test_a_full_disk(clean: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("small_disk")
    with pytest.raises(ImpastoError, match=r"cannot write .*fog.npy"):
        write(clean, tmp_path / "set")
    assert [p.name for p in (tmp_path / "set").iterdir() if "fog" in p.name] == []


@pytest.mark.parametrize("classes", [("b", "a"), ("a", "a"), ("a", "b/c"), ("", "a"), (".a", "b")])
def test_classes_that_cannot_be_folders(tmp_path: Path, classes: tuple[str, str]) -> None:
    pixels, _ = pictures(2)
    Images(pixels, np.array([0, 1]), classes, "made").save(tmp_path / "clean")
    with pytest.raises(ImpastoError, match="--layout npy"):
        plan(tmp_path / "clean", 0, "auto", (1,), "folders")
    assert plan(tmp_path / "clean", 0, "auto", (1,), "npy").classes == classes


@pytest.mark.parametrize(
    ("file", "array"),
    [
        ("images.npy", np.zeros((11, 3, 16, 16), np.float32)),
        ("images.npy", np.zeros((11, 16, 16, 3), np.uint8)),
        ("images.npy", np.zeros((10, 3, 16, 16), np.uint8)),
        ("labels.npy", np.full(11, 4)),
        ("labels.npy", np.full(11, -1)),
        ("labels.npy", np.zeros((11, 1), np.int64)),
    ],
)
def test_other_arrays_than_labelled_images(clean: Path, file: str, array: np.ndarray) -> None:
    np.save(clean / file, array)
    with pytest.raises(ImpastoError, match=r"clean holds no labelled images: .*impasto download"):
        plan(clean, 0, "auto", (1,), "npy")


@pytest.mark.parametrize("name", ["meta.json", "images.npy", "labels.npy"])
def test_a_file_of_the_clean_images_that_is_missing(clean: Path, name: str) -> None:
    (clean / name).unlink()
    remedy = r"Run `dvc repro download`, or name a folder with images.npy, labels.npy and meta.json\."
    with pytest.raises(ImpastoError, match=rf"clean/{name} does not exist .--images.\. {remedy}"):
        plan(clean, 0, "auto", (1,), "npy")


def test_other_meta(clean: Path) -> None:
    (clean / "meta.json").write_text("{}")
    with pytest.raises(ImpastoError, match="holds no labelled images: 'classes'"):
        plan(clean, 0, "auto", (1,), "npy")


def test_no_images(tmp_path: Path) -> None:
    Images(np.zeros((0, 3, 16, 16), np.uint8), np.zeros(0, np.int64), ("a",), "none").save(tmp_path / "clean")
    with pytest.raises(ImpastoError, match="holds no images"):
        plan(tmp_path / "clean", 0, "auto", (1,), "npy")


def test_the_set_says_what_it_is(clean: Path, tmp_path: Path) -> None:
    write(clean, tmp_path / "set", seed=17)
    text, facts = (tmp_path / "set" / "README.md").read_text(), manifest.load(tmp_path / "set")
    assert "regenerated by impasto" in text and "not the published files" in text and "seed: 17" in text
    assert facts is not None and facts.images == digest(clean / "images.npy", clean / "labels.npy")
    assert "- contrast\n- fog\n" in text and facts.counts == (3, 3, 3, 2) and "torch" in facts.libraries
    assert json.loads((tmp_path / "set" / "impasto.json").read_text())["official"] is False
