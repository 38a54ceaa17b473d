"""Inception-v3 as FID uses it: equal to its graph written out, and to torch-fidelity where that is installed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from inception_reference import CONVOLUTIONS, pool3
from torch import Tensor
from torch.nn import functional
from torchvision.models.inception import Inception3, InceptionA, InceptionC, InceptionE

from file_server import serve
from impasto.data.origin import FOLDER
from impasto.errors import ImpastoError
from impasto.fid import inception
from impasto.fid.extractors import extractor
from impasto.fid.inception import WEIGHTS, InceptionV3, inception_v3
from impasto.fid.resize import resize_like_tensorflow1

CPU = torch.device("cpu")


def noise(count: int, size: int = 32, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (count, 3, 4, 4), generator=source).float()
    smooth = functional.interpolate(coarse, (size, size), mode="bilinear")
    return (smooth + 20 * torch.randn(smooth.shape, generator=source)).clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def measure(inception_file: Path) -> InceptionV3:
    return InceptionV3(CPU, inception_file)


def test_equals_its_graph_written_out(measure: InceptionV3, inception_weights: dict[str, Tensor]) -> None:
    images = noise(2)
    pixels = (resize_like_tensorflow1(images.float(), 299) - 128) / 128
    found, expected = measure(images), pool3(inception_weights, pixels)
    assert expected.std(0).mean() > 0.01 * expected.mean(), "the images are told apart"
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(measure(images[1:]), found[1:], rtol=1e-4, atol=1e-4)  # in any batch


def test_equals_torch_fidelity(measure: InceptionV3, inception_file: Path) -> None:
    why = (
        "torch-fidelity is not installed: `make setup` installs it; the graph written out is compared with all the same"
    )
    peer = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason=why)
    theirs = peer.FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(inception_file))
    for images in (noise(2, 32), noise(1, 64), noise(1, 400)):
        (expected,) = theirs(images)
        torch.testing.assert_close(measure(images), expected, rtol=1e-4, atol=1e-5)
        pixels = (resize_like_tensorflow1(images.float(), 299) - 128) / 128
        with torch.no_grad():  # in the memory layout of theirs, which is slower, not a bit differs
            assert torch.equal(inception_v3(inception_file)(pixels).flatten(1), expected)


def test_the_layout_is_that_of_the_file(inception_file: Path) -> None:
    network = inception_v3(inception_file)
    assert len(CONVOLUTIONS) == 94
    assert sum(weights.numel() for weights in network.parameters()) == sum(
        outputs * inputs * height * width + 2 * outputs for outputs, inputs, height, width in CONVOLUTIONS.values()
    )
    assert not network.training and not any(w.requires_grad for w in network.parameters())
    norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert len(norms) == 94 and {norm.eps for norm in norms} == {1e-3}


@pytest.mark.parametrize(
    ("ours", "theirs", "arguments"),
    [
        (inception._A, InceptionA, (192, 32)),
        (inception._C, InceptionC, (768, 128)),
        (inception._E, InceptionE, (1280,)),
    ],
)
def test_only_the_borders_of_the_pools_differ_from_torchvision(
    ours: type[torch.nn.Module], theirs: type[torch.nn.Module], arguments: tuple[int, ...]
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block, original = ours(*arguments).eval(), theirs(*arguments).eval()
        original.load_state_dict(block.state_dict())
        maps = torch.rand(1, arguments[0], 9, 9)
    with torch.no_grad():
        found, wanted = block(maps), original(maps)
    pooled = original.get_parameter("branch_pool.conv.weight").shape[0]
    torch.testing.assert_close(found[:, :-pooled], wanted[:, :-pooled], rtol=1e-4, atol=1e-5)
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(found[inside], wanted[inside], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[:, -pooled:], wanted[:, -pooled:], rtol=1e-2)


def test_with_its_pools_changed_back_it_is_torchvisions_network(inception_file: Path) -> None:
    """An independent check of everything between and inside the blocks but their pools."""
    original = Inception3(1008, aux_logits=False, init_weights=False).eval()
    original.load_state_dict(torch.load(inception_file, weights_only=True))
    original.fc, original.dropout = torch.nn.Identity(), torch.nn.Identity()
    network = inception_v3(inception_file)
    changed = [layer for layer in network if type(layer).__module__ == inception.__name__]
    assert len(changed) == 9
    for layer in changed:
        layer.__class__ = next(kind for kind in (InceptionA, InceptionC, InceptionE) if isinstance(layer, kind))
    pixels = torch.rand(1, 3, 299, 299, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(pixels).flatten(1), original(pixels), rtol=1e-4, atol=1e-5)


def test_the_last_pool_takes_maxima(measure: InceptionV3) -> None:
    *_, before, last, _ = measure._network
    assert isinstance(last, inception._LastE) and not isinstance(before, inception._LastE)
    maps = torch.rand(1, 5, 8, 8)
    assert torch.equal(last._pool(maps), functional.max_pool2d(maps, 3, 1, 1))
    assert torch.allclose(before._pool(torch.ones(1, 1, 8, 8)), torch.ones(1)), "borders do not count as zeros"


def test_the_identity_names_the_weights(
    measure: InceptionV3, inception_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(inception_file.read_bytes()).hexdigest()
    assert f"not the published ones, sha256:{digest[:16]}" in measure.identity
    monkeypatch.setattr(inception, "WEIGHTS", replace(WEIGHTS, sha256=digest[:8]))
    assert "not the published" not in InceptionV3(CPU, inception_file).identity
    assert WEIGHTS.sha256 == "6726825d" and WEIGHTS.sha256 in WEIGHTS.remote.name
    assert (measure.name, measure.dimension) == ("inception_v3", 2048) and "TensorFlow 1" in measure.resize
    assert "input (x - 128) / 128, pool3" in measure.identity


def test_a_wrong_file_under_the_published_name_is_refused(root: Path, inception_file: Path) -> None:
    (root / FOLDER).mkdir(parents=True)
    (root / FOLDER / WEIGHTS.remote.name).symlink_to(inception_file)
    with pytest.raises(ImpastoError, match="sha256 6726825d... was published"):
        extractor("inception_v3", CPU)
    with pytest.raises(ImpastoError, match="sha256 6726825d... was published"):
        extractor("inception_v3", CPU, FOLDER / WEIGHTS.remote.name)


def test_the_weights_are_downloaded_from_the_first_mirror_that_has_them(
    root: Path, inception_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extractor that is asked for by name alone: the second project's file, cut off once, under the digest."""
    monkeypatch.setattr("impasto.data.remote._PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    content = inception_file.read_bytes()
    with serve() as web:
        web.files, web.drops = {"/second.pth": content}, {"/second.pth": [len(content) // 2]}
        urls = tuple(f"{web.address}/{name}.pth" for name in ("first", "second"))
        there = replace(WEIGHTS, remote=replace(WEIGHTS.remote, urls=urls), sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setattr(inception, "WEIGHTS", there)
        found = extractor("inception_v3", CPU)
        assert "not the published" not in found.identity
        extractor("inception_v3", CPU)
        assert [path for path, _ in web.asked] == ["/first.pth", "/second.pth", "/second.pth"], "once"
    assert (root / FOLDER / WEIGHTS.remote.name).read_bytes() == content
    wanted = InceptionV3(CPU, inception_file)(noise(1))
    assert torch.equal(found(noise(1)), wanted)


def test_other_weights_are_named(tmp_path: Path, inception_weights: dict[str, Tensor]) -> None:
    torch.save({name: inception_weights[name] for name in inception_weights if name != "fc.bias"}, tmp_path / "cut.pth")
    with pytest.raises(ImpastoError, match="lacks 'fc.bias' and 0 more of 472"):
        extractor("inception_v3", CPU, tmp_path / "cut.pth")
