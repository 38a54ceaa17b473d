"""The extractor: what it computes, pinned numbers, and freedom from batch size and storage."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from impasto.config.fid import DIMENSIONS, Fid
from impasto.data.images import Rows
from impasto.errors import ImpastoError
from impasto.fid import extractors
from impasto.fid.extractors import EXTRACTORS, Extractor, extractor, feature_moments, features, require_enough
from impasto.fid.moments import Moments
from impasto.io import read_npy, write_npy
from impasto.models.efficientnet_lite0 import efficientnet_lite0

CPU = torch.device("cpu")
GOLDEN = (
    -3.5156,
    4.7484,
    0.9457,
    5.0877,
    8.2521,
    3.3611,
    -1.8113,
    4.3747,
    50.0891,
)  # the first eight features of ``pattern()`` and the norm of all


def pattern(size: int = 32) -> Tensor:
    """One colourful image without randomness: rings, a ramp and a chequer, uint8 [1, 3, size, size]."""
    rows, columns = np.mgrid[:size, :size] / size
    rings = np.sin(40 * np.hypot(rows - 0.4, columns - 0.6))
    planes = [127 + 127 * rings, 255 * rows, 255 * ((8 * rows).astype(int) + (8 * columns).astype(int) & 1)]
    return torch.from_numpy(np.stack(planes).round().astype(np.uint8))[None]


def noise(count: int, size: int = 32, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), generator=source, dtype=torch.uint8)


@pytest.fixture(scope="module")
def lite0() -> Extractor:
    return extractor("efficientnet_lite0_112", CPU)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_extractor_keeps_the_protocol(name: str, inception_file: Path) -> None:
    one = extractor(name, CPU, inception_file)
    assert one.name == name
    assert one.identity
    assert one.resize
    found = one(noise(3))
    assert found.shape == (3, one.dimension)
    assert found.dtype == torch.float32
    assert not found.requires_grad


def test_config_and_registry_agree(inception_file: Path) -> None:
    assert set(get_args(Fid.model_fields["extractor"].annotation)) == set(EXTRACTORS)
    assert {name: extractor(name, CPU, inception_file).dimension for name in EXTRACTORS} == DIMENSIONS
    lowest = [bound.ge for bound in Fid.model_fields["n"].metadata if hasattr(bound, "ge")]
    assert lowest == [min(DIMENSIONS.values()) + 1]


@pytest.mark.parametrize("name", DIMENSIONS)
def test_n_exceeds_the_dimensions(name: str) -> None:
    values = {"extractor": name, "weights": None, "points": 11}
    assert Fid(n=DIMENSIONS[name] + 1, **values).n == DIMENSIONS[name] + 1  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fid.n|greater than or equal to 113"):
        Fid(n=DIMENSIONS[name], **values)  # type: ignore[arg-type]


def test_golden_features(lite0: Extractor) -> None:
    found = features(lite0, pattern())[0]
    torch.testing.assert_close(found[:8], torch.tensor(GOLDEN[:8]), rtol=1e-3, atol=1e-3)
    assert float(found.norm()) == pytest.approx(GOLDEN[8], rel=1e-3)


def test_is_block_ten_of_the_network(lite0: Extractor) -> None:
    """An independent path: the whole network with a hook on the project convolution's norm of block 10."""
    seen: list[Tensor] = []
    model = efficientnet_lite0()
    hook = model.get_submodule("blocks.4.2").register_forward_hook(lambda *call: seen.append(call[2]))
    bytes_64 = noise(4, 64)
    with torch.no_grad():
        model((bytes_64.float() - 127) / 128)
    hook.remove()
    torch.testing.assert_close(lite0(bytes_64), seen[0].mean((2, 3)), rtol=1e-4, atol=1e-4)


def test_resizes_bilinear_antialiased(lite0: Extractor) -> None:
    large = noise(2, 150).float()
    small = functional.interpolate(large, (64, 64), mode="bilinear", antialias=True).round().to(torch.uint8)
    torch.testing.assert_close(lite0(large.to(torch.uint8)), lite0(small), rtol=0.02, atol=0.1)


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_batch_size_changes_nothing(lite0: Extractor, batch: int) -> None:
    images = noise(13)
    torch.testing.assert_close(features(lite0, images, batch), features(lite0, images), rtol=1e-4, atol=1e-4)


def test_memory_map_equals_tensor(lite0: Extractor, tmp_path: Path) -> None:
    images = noise(40)
    write_npy(tmp_path / "images.npy", images.numpy())
    stored = read_npy(tmp_path / "images.npy")
    assert torch.equal(features(lite0, stored), features(lite0, images))
    index = np.array([30, 2, 2, 39])
    assert torch.equal(features(lite0, Rows(stored, index)), features(lite0, images[index]))


def test_shared_network_is_left_alone(lite0: Extractor) -> None:
    before = {name: tensor.clone() for name, tensor in efficientnet_lite0().state_dict().items()}
    lite0(noise(2))
    extractor("efficientnet_lite0_112", CPU)(noise(2))
    assert all(torch.equal(tensor, before[name]) for name, tensor in efficientnet_lite0().state_dict().items())


def test_moments_of_a_set_in_blocks(lite0: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "BLOCK", 64)
    images = noise(120)
    found, whole = feature_moments(lite0, images), Moments.of(features(lite0, images))
    assert found.count == 120
    torch.testing.assert_close(found.covariance(), whole.covariance(), rtol=1e-4, atol=1e-4)


def test_too_few_images(lite0: Extractor) -> None:
    require_enough(113, lite0, "images")
    with pytest.raises(ImpastoError, match="112 synthetic images are too few for the 112 dimensions") as caught:
        require_enough(112, lite0, "synthetic images")
    assert "at least 113" in caught.value.remedy
    with pytest.raises(ImpastoError, match="20 reference images"):
        feature_moments(lite0, noise(20))


def test_unknown_extractor() -> None:
    with pytest.raises(ImpastoError, match="unknown extractor 'inception'") as caught:
        extractor("inception", CPU)
    assert "efficientnet_lite0_112" in caught.value.remedy
