"""Small files in the formats of the authors' archives."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from impasto.data.remote import Remote
from impasto.data.sources.cifar import Cifar
from impasto.data.sources.kaokore_tables import Kaokore
from impasto.data.sources.tiny_imagenet import TinyImageNet

CIFAR10_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CIFAR100_NAMES = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm"
]  # fmt: skip
CIFAR100_COARSE = [
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2"
]  # fmt: skip


class Python2:
    """Writes a dictionary as Python 2's cPickle did, protocol 2: the format of the authors' files."""

    def __init__(self) -> None:
        self.memo = 0

    def dumps(self, entries: Mapping[str, Any]) -> bytes:
        opened = b"\x80\x02}" + self.put() + b"("
        return opened + b"".join(self.value(part) for entry in entries.items() for part in entry) + b"u."

    def put(self) -> bytes:
        self.memo += 1
        return b"q" + bytes([self.memo])

    def value(self, value: Any) -> bytes:
        if isinstance(value, str):
            return b"U" + bytes([len(value)]) + value.encode() + self.put()
        if isinstance(value, list):
            opened = b"]" + self.put() + b"("
            return opened + b"".join(self.value(item) for item in value) + b"e"
        if isinstance(value, np.ndarray):
            return self.array(value)
        if 0 <= value < 256:
            return b"K" + bytes([value])
        return b"J" + value.to_bytes(4, "little", signed=True) if value < 0 else b"M" + value.to_bytes(2, "little")

    def array(self, array: np.ndarray) -> bytes:
        raw = array.tobytes("F" if array.flags.fnc else "C")
        shape = b"(" + b"".join(self.value(n) for n in array.shape) + b"t"
        made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        kind = b"cnumpy\ndtype\nU\x02" + array.dtype.str[1:].encode() + b"K\x00K\x01\x87R"
        kind += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        order = b"\x88" if array.flags.fnc else b"\x89"
        return made + b"(K\x01" + shape + kind + order + b"T" + len(raw).to_bytes(4, "little") + raw + b"tb"


def cifar_like(address: str = "http://127.0.0.1:9", **changes: Any) -> Cifar:
    """Three classes of four training images, in two files, and of two test images."""
    value = Cifar(
        title="CIFAR-3",
        archive=Remote("cifar.tar.gz", (f"{address}/cifar.tar.gz",)),
        folder="cifar-3-batches-py",
        train=("data_batch_1", "data_batch_2"),
        test="test_batch",
        meta="batches.meta",
        labels="labels",
        names="label_names",
        classes=3,
        each=(4, 2),
    )
    return replace(value, **changes)


def cifar_arrays() -> dict[str, dict[str, Any]]:
    """What the files of :func:`cifar_like` hold."""
    source = np.random.default_rng(0)

    def batch(title: str, labels: list[int]) -> dict[str, Any]:
        pixels = source.integers(256, size=(len(labels), 3072), dtype=np.uint8)
        names = [f"{title}_{n}.png" for n in range(len(labels))]
        return {"batch_label": title, "labels": labels, "data": pixels, "filenames": names}

    return {
        "data_batch_1": batch("first", [2, 0, 0, 1, 2, 1, 0]),
        "data_batch_2": batch("second", [1, 2, 2, 0, 1]),
        "test_batch": batch("test", [1, 0, 2, 2, 0, 1]),
        "batches.meta": {"num_cases_per_batch": 10000, "label_names": ["cat", "dog", "ape"], "num_vis": 3072},
    }


def cifar_files(arrays: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, bytes]:
    """The same as files."""
    return {name: Python2().dumps(entries) for name, entries in (arrays or cifar_arrays()).items()}


def tar_gz(files: Mapping[str, bytes | tarfile.TarInfo], folder: str = "cifar-3-batches-py") -> bytes:
    """An archive of files in one folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(f"{folder}/{name}")
            if isinstance(content, bytes):
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def pinned(value: Cifar | TinyImageNet, content: bytes) -> Any:
    """The same dataset with the size and the checksum of its archive."""
    archive = replace(value.archive, size=len(content), md5=hashlib.md5(content).hexdigest())
    return replace(value, archive=archive)


WNIDS = ("n03444034", "n01443537", "n02124075")  # as listed in the archive: not sorted
TINY_SIDE = 16


def tiny_like(address: str = "http://127.0.0.1:9", **changes: Any) -> TinyImageNet:
    """Three classes of three training and two validation images of 16 px."""
    archive = Remote("tiny.zip", (f"{address}/tiny.zip",))
    return replace(TinyImageNet(archive, "tiny-imagenet-3", 3, (3, 2), TINY_SIDE), **changes)


def jpeg(seed: int, side: int = TINY_SIDE, mode: str = "RGB") -> bytes:
    """A picture of its own for every seed."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(256, size=(side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def tiny_files() -> dict[str, bytes]:
    """The files of :func:`tiny_like`, in the layout of the archive; some are grey, as there."""
    files = {"wnids.txt": "\n".join(WNIDS).encode() + b"\n", "words.txt": b"n01443537\tgoldfish\n"}
    for place, wnid in enumerate(WNIDS):
        files[f"train/{wnid}/{wnid}_boxes.txt"] = b"boxes"
        for number in (0, 10, 2):
            mode = "L" if number == 2 else "RGB"
            files[f"train/{wnid}/images/{wnid}_{number}.JPEG"] = jpeg(100 * place + number, mode=mode)
    lines = []
    for number in range(6):
        files[f"val/images/val_{number}.JPEG"] = jpeg(1000 + number)
        lines.append(f"val_{number}.JPEG\t{WNIDS[(2 * number + number // 3) % 3]}\t0\t32\t44\t62")
    files["val/val_annotations.txt"] = "\n".join(lines).encode() + b"\n"
    return files | {"test/images/test_0.JPEG": jpeg(2000)}


def zipped(files: Mapping[str, bytes], folder: str = "tiny-imagenet-3") -> bytes:
    """A zip archive of files in one folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}", content)
    return buffer.getvalue()


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    """Files in a folder."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).write_bytes(content)
    return root


FACES_PAGES = 6  # of each of the works of :func:`kaokore_files`
FACES_WORKS = ("浦島太郎", "病草子", "しほやきぶんしょう 3巻", "ふんせう", "源氏物語団扇帖", "")


def kaokore_rows() -> list[tuple[str, int, int, str, int]]:
    """Name, gender, status, set and place of the labelled images of :func:`kaokore_files`, in its shuffled order.

    Of each combination there are 6 in train, 2 in dev and 3 in test, and 2 more commoners in train.
    """
    parts = ["train"] * 6 + ["dev"] * 2 + ["test"] * 3
    labels = [(g, s, part) for g in range(2) for s in range(4) for part in parts] + [(0, 3, "train"), (1, 3, "train")]
    places = [n for n in range(len(labels) + 12) if n % 9 != 4][: len(labels)]  # every ninth has no label
    order = np.random.default_rng(3).permutation(len(labels))
    placed = zip(np.random.default_rng(4).permutation(places).tolist(), (labels[n] for n in order), strict=True)
    return [(f"{place:08d}.jpg", *label, place) for place, label in placed]


def kaokore_like(address: str = "http://127.0.0.1:9", **changes: Any) -> Kaokore:
    """A version with the counts of :func:`kaokore_files`."""
    rows = kaokore_rows()

    def counts(label: Callable[[int, int], int], n: int) -> dict[str, tuple[int | None, ...]]:
        found = {part: [label(g, s) for _, g, s, set_, _ in rows if set_ == part] for part in ("train", "dev", "test")}
        return {part: tuple(labels.count(one) for one in range(n)) for part, labels in found.items()}

    tables = {"gender": counts(lambda g, s: g, 2), "status": counts(lambda g, s: s, 4)}
    tables["joint"] = counts(lambda g, s: 4 * g + s, 8)
    lines = max(place for *_, place in rows) + 3
    return replace(Kaokore("1.2", (f"{address}/lists",), lines, lines - 2, 1, tables), **changes)


def kaokore_lists(address: str = "http://127.0.0.1:9") -> dict[str, bytes]:
    """labels.csv, urls.txt and original_tags.txt: two addresses are empty, one of them of a labelled image."""
    rows = kaokore_rows()
    last = max(place for *_, place in rows) + 2
    empty = {4, rows[0][4]}
    urls, tags = [], []
    for place in range(last + 1):
        work, page = place % len(FACES_WORKS), place // 3 % FACES_PAGES
        crop = f"{place * 10},{place * 7},100,100/256,256/0/default.jpg"
        urls.append("" if place in empty else f"{address}/iiif/{work:03d}/{work:03d}_{page:05d}.tif/{crop}")
        tags.append(f"{place:08d}.jpg:タグ=;制作年=from 1500;制作年=to 1600;原典={FACES_WORKS[work]};向き=横;性別=男")
    labels = ["image,gender,status,set", *(f"{name},{g},{s},{part}" for name, g, s, part, _ in rows)]
    files = {"labels.csv": labels, "urls.txt": urls, "original_tags.txt": tags}
    return {name: ("\n".join(lines) + "\n").encode() for name, lines in files.items()}


@cache
def kaokore_image(place: int) -> bytes:
    """Of its own for every place: most have 32 px, some another size, some are grey."""
    return jpeg(place, side=20 if place % 7 == 0 else 32, mode="L" if place % 5 == 0 else "RGB")


def kaokore_web(address: str) -> dict[str, bytes]:
    """What a server gives: the lists, and every image that has an address."""
    lists = kaokore_lists(address)
    urls = lists["urls.txt"].decode().splitlines()
    images = {url.removeprefix(address): kaokore_image(place) for place, url in enumerate(urls) if url}
    return {f"/lists/{name}": content for name, content in lists.items()} | images


def kaokore_folder(root: Path, urls: bool = True) -> Path:
    """The layout that the authors' script leaves, with all labelled images that have an address."""
    lists = kaokore_lists()
    write(root, {name: content for name, content in lists.items() if urls or name != "urls.txt"})
    listed = lists["urls.txt"].decode().splitlines()
    write(root / "images_256", {name: kaokore_image(n) for name, *_, n in kaokore_rows() if listed[n]})
    return root
