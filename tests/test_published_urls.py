"""Where the paper's artefacts are, transcribed anew with the digests that are known of them."""

from __future__ import annotations

from impasto.data.origin import Published
from impasto.fid.inception import WEIGHTS
from impasto.models.pretrained import PUBLISHED as NAMED
from impasto.style.published import STYLE_FEATURES, VGG19, VGG_DECODER
from impasto.synthetic.published import PUBLISHED as POOLS

HUB = "https://huggingface.co/"
ADAIN = "https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0/"
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"


def said(published: Published) -> tuple[str, str | None, str]:
    """The first mirror and both digests."""
    return published.remote.urls[0], published.git_blob, published.sha256


def test_pools_of_a_million_images() -> None:
    assert {name: pool.remote.urls for name, pool in POOLS.items()} == {
        "edm-cifar10": (f"{HUB}datasets/P2333/DM-Improves-AT/resolve/main/cifar10/1m.npz",),
        "edm-cifar100": (f"{HUB}datasets/P2333/DM-Improves-AT/resolve/main/cifar100/1m.npz",),
        "edm-tiny-imagenet": (f"{HUB}wzekai99/DM-Improves-AT/resolve/main/edm_data/tiny/tiny_edm_1m.npz",),
    }
    assert all(pool.count == 1_000_000 for pool in POOLS.values())


def test_networks_and_features() -> None:
    assert said(VGG19) == (f"{ADAIN}vgg_normalised.pth", "18a783877329319e5a640ae20f7b98c64e5f5572", "")
    assert said(VGG_DECODER) == (f"{ADAIN}decoder.pth", "ccd7832185528ee899f752d532c3a5f08627196a", "")
    (features,) = STYLE_FEATURES.remote.urls
    assert features.startswith("https://zenodo.org/records/16279015/files/style_feats_adain_1000.npy")
    fidelity = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION}"
    assert said(WEIGHTS) == (fidelity, None, "6726825d") and WEIGHTS.remote.name == INCEPTION
    vit = "https://download.pytorch.org/models/vit_b_16-c867db91.pth"
    assert said(NAMED["torchvision-vit-b-16"]) == (vit, None, "c867db91")
