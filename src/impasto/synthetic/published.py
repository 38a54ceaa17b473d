"""The published pools: a million images each, drawn from EDM (Karras et al. 2022) and selected by Wang et al. 2023.

Z. Wang et al., "Better Diffusion Models Further Improve Adversarial Training", ICML 2023; Siedel et al. train on the
same files (section 4). No checksums are published: a file is pinned when it has first been converted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from impasto.data.images import Images
from impasto.data.pinned import pin, verify
from impasto.data.remote import Remote, download
from impasto.data.sources.official import FOLDER
from impasto.synthetic.npz import convert_npz
from impasto.workspace import main_root


@dataclass(frozen=True)
class Pool:
    """One pool.

    Attributes:
        remote: the npz file, under a name of its own.
        count: the number of images.
        even: whether every class has the same number; what is selected per class has.
    """

    remote: Remote
    count: int
    even: bool


_HUB = "https://huggingface.co/"
_CIFAR = _HUB + "datasets/P2333/DM-Improves-AT/resolve/main/"
_TINY = _HUB + "wzekai99/DM-Improves-AT/resolve/main/edm_data/tiny/tiny_edm_1m.npz"

PUBLISHED: dict[str, Pool] = {
    "edm-cifar10": Pool(Remote("edm-cifar10-1m.npz", (_CIFAR + "cifar10/1m.npz",)), 1_000_000, True),
    "edm-cifar100": Pool(Remote("edm-cifar100-1m.npz", (_CIFAR + "cifar100/1m.npz",)), 1_000_000, True),
    "edm-tiny-imagenet": Pool(Remote("edm-tiny-imagenet-1m.npz", (_TINY,)), 1_000_000, False),
}
"""By the name that ``synthetic.root`` takes; 3 GB at 32 px, 12 GB at 64 px."""


def convert_pool(root: str, like: Images, folder: Path, to: Path = FOLDER) -> None:
    """Write the pool that ``synthetic.root`` names as images in ``folder``; a published one is downloaded to ``to``.

    Args:
        root: a name in :data:`PUBLISHED`, or the path of an npz file.
        like: the dataset, whose size and classes the images must have.
        folder: where to write.
        to: where published files are kept.

    Raises:
        ImpastoError: the file cannot be had, is another one than when it first came, or is no pool for ``like``;
            see :func:`impasto.synthetic.npz.convert_npz`.
    """
    pool = PUBLISHED.get(root)
    if pool is None:
        convert_npz(main_root() / Path(root).expanduser(), like, folder)
        return
    file = download(pool.remote, main_root() / to)
    verify(file)
    convert_npz(file, like, folder, pool.count, pool.even)
    pin(file)
