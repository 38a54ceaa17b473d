"""The corrupted test sets that their authors publish: where they are, and the checksums of their files.

D. Hendrycks, T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
2019. TinyImageNet-C comes from the corrected record: in the first one, frost has the folders of 1000 classes. For
-C-bar of CIFAR and TinyImageNet nothing is published; `impasto corrupt` makes such a set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from impasto.corruptions.sets import C15, C19, EXTRA
from impasto.data.remote import Remote
from impasto.errors import ImpastoError
from impasto.io import read_json


@dataclass(frozen=True)
class Published:
    """One set.

    Attributes:
        folder: the name of its folder.
        title: what it is.
        archives: what to download.
        names: the corruptions that it holds.
        md5: checksum by file name; empty where the authors' files were never listed.
        shape: (N, H, W) of the images of one corruption at one severity.
        classes: the number of classes.
    """

    folder: str
    title: str
    archives: tuple[Remote, ...]
    names: tuple[str, ...]
    shape: tuple[int, int, int]
    classes: int
    md5: Mapping[str, str] = field(default_factory=dict)


def _zenodo(record: int, name: str, md5: str, size: int | None = None) -> Remote:
    return Remote(name, (f"https://zenodo.org/records/{record}/files/{name}",), size, md5)


_CIFAR10_C = {
    "gaussian_noise.npy": "ecaf8b9a2399ffeda7680934c33405fd",
    "shot_noise.npy": "3a7239bb118894f013d9bf1984be7f11",
    "impulse_noise.npy": "2090e01c83519ec51427e65116af6b1a",
    "defocus_blur.npy": "7d1322666342a0702b1957e92f6254bc",
    "glass_blur.npy": "7361fb4019269e02dbf6925f083e8629",
    "motion_blur.npy": "fffa5f852ff7ad299cfe8a7643f090f4",
    "zoom_blur.npy": "6ea8e63f1c5cdee1517533840641641b",
    "snow.npy": "bb238de8555123da9c282dea23bd6e55",
    "frost.npy": "31f6ab3bce1d9934abfb0cc13656f141",
    "fog.npy": "7b397314b5670f825465fbcd1f6e9ccd",
    "brightness.npy": "0a81ef75e0b523c3383219c330a85d48",
    "contrast.npy": "3c8262171c51307f916c30a3308235a8",
    "elastic_transform.npy": "9421657c6cd452429cf6ce96cc412b5f",
    "pixelate.npy": "0f14f7e2db14288304e1de10df16832f",
    "jpeg_compression.npy": "2b9cc4c864e0193bb64db8d7728f8187",
    "speckle_noise.npy": "ef00b87611792b00df09c0b0237a1e30",
    "gaussian_blur.npy": "c33370155bc9b055fb4a89113d3c559d",
    "spatter.npy": "8a5a3903a7f8f65b59501a6093b4311e",
    "saturate.npy": "1cfae0964219c5102abbb883e538cc56",
    "labels.npy": "c439b113295ed5254878798ffe28fd54",
}

_CIFAR100_C = {
    "gaussian_noise.npy": "ecc4d366eac432bdf25c024086f5e97d",
    "shot_noise.npy": "b0a1fa6e1e465a747c1b204b1914048a",
    "impulse_noise.npy": "3b3c210ddfa0b5cb918ff4537a429fef",
    "defocus_blur.npy": "d923e3d9c585a27f0956e2f2ad832564",
    "glass_blur.npy": "0bf384f38e5ccbf8dd479d9059b913e1",
    "motion_blur.npy": "732a7e2e54152ff97c742d4c388c5516",
    "zoom_blur.npy": "0204613400c034a81c4830d5df81cb82",
    "snow.npy": "0237be164583af146b7b144e73b43465",
    "frost.npy": "3a39c6823bdfaa0bf8b12fe7004b8117",
    "fog.npy": "4efc7ebd5e82b028bdbe13048e3ea564",
    "brightness.npy": "f22d7195aecd6abb541e27fca230c171",
    "contrast.npy": "322bb385f1d05154ee197ca16535f71e",
    "elastic_transform.npy": "a0792bd6581f6810878be71acedfc65a",
    "pixelate.npy": "96c00c60f144539e14cffb02ddbd0640",
    "jpeg_compression.npy": "c851b7f1324e1d2ffddeb76920576d11",
    "speckle_noise.npy": "e3f215b1a0f9fd9fd6f0d1cf94a7ce99",
    "gaussian_blur.npy": "5204ba0d557839772ef5a4196a052c3e",
    "spatter.npy": "12ccf41d62564d36e1f6a6ada5022728",
    "saturate.npy": "c0697e9fdd646916a61e9c312c77bf6b",
    "labels.npy": "bb4026e9ce52996b95f439544568cdb2",
}

PUBLISHED: dict[str, Published] = {
    "cifar10-c": Published(
        "CIFAR-10-C",
        "CIFAR-10-C, 19 corruptions of the 10,000 test images",
        (_zenodo(2535967, "CIFAR-10-C.tar", "56bf5dcef84df0e2308c6dcbcbbd8499", 2_918_471_680),),
        C19,
        (10_000, 32, 32),
        10,
        _CIFAR10_C,
    ),
    "cifar100-c": Published(
        "CIFAR-100-C",
        "CIFAR-100-C, 19 corruptions of the 10,000 test images",
        (_zenodo(3555552, "CIFAR-100-C.tar", "11f0ed0f1191edbf9fa23466ae6021d3", 2_918_473_216),),
        C19,
        (10_000, 32, 32),
        100,
        _CIFAR100_C,
    ),
    "tiny-imagenet-c": Published(
        "Tiny-ImageNet-C",
        "TinyImageNet-C, 15 corruptions and the 4 extra ones of 10,000 images of 200 classes",
        (
            _zenodo(8206060, "Tiny-ImageNet-C.tar", "f9c9a9dbdc11469f0b850190f7ad8be1"),
            _zenodo(8206060, "Tiny-ImageNet-C-extra.tar", "0db0588d243cf403ef93449ec52b70eb"),
        ),
        (*C15, *EXTRA),
        (10_000, 64, 64),
        200,
    ),
}
"""By the name that `impasto fetch` takes."""


RECORD = ".impasto-fetched.json"
"""In the folder of a set: which archives were unpacked there, with their checksums."""


def unpacked(root: Path) -> dict[str, str]:
    """The checksum of each archive that was unpacked into ``root``, by its name."""
    try:
        found = read_json(root / RECORD)
    except ImpastoError:
        return {}
    return found if isinstance(found, dict) else {}


def fetched(root: Path, published: Published) -> bool:
    """Whether all archives of a set were checked and unpacked into ``root``."""
    done = unpacked(root)
    return all(archive.name in done and done[archive.name] == archive.md5 for archive in published.archives)


def published_in(root: Path) -> Published | None:
    """The published set whose folder name ``root`` bears, whatever its case; None if there is none."""
    return next((one for one in PUBLISHED.values() if one.folder.lower() == root.name.lower()), None)
