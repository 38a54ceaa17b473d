"""TensorFlow 1's bilinear resizing, against its definition pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from inception_reference import resize

from impasto.fid.resize import resize_like_tensorflow1


@pytest.mark.parametrize(
    ("height", "width", "side"), [(5, 5, 13), (8, 3, 21), (32, 32, 47), (20, 31, 7), (1, 1, 4), (9, 9, 9)]
)
def test_equals_the_definition(height: int, width: int, side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, height, width)).astype(np.float32)
    found = resize_like_tensorflow1(torch.from_numpy(images), side)
    expected = np.array([[resize(plane, side) for plane in image] for image in images])
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_it_is_not_what_torch_does() -> None:
    """The first pixels coincide; with half-pixel centres they would not, and with aligned corners the last would."""
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    assert resize_like_tensorflow1(ramp, 8)[0, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    assert torch.nn.functional.interpolate(ramp, (8, 8), mode="bilinear")[0, 0, 0].tolist()[:2] == [0, 0.25]


def test_equals_torch_fidelity_bit_for_bit() -> None:
    why = "torch-fidelity is not installed: `make setup` installs it"
    peer = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow", reason=why)
    for side in (32, 64, 299, 512):
        images = torch.randint(0, 256, (1, 3, side, side), generator=torch.Generator().manual_seed(0)).float()
        expected = peer.interpolate_bilinear_2d_like_tensorflow1x(images, size=(299, 299), align_corners=False)
        assert torch.equal(resize_like_tensorflow1(images, 299), expected), side
