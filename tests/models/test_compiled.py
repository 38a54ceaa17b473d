"""A compiled network: the same numbers up to rounding, the same names on disk."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto.checkpoint import Resume
from impasto.config.train import Train
from impasto.errors import ImpastoError
from impasto.models.compiled import compile_parts
from impasto.models.saved import load_model, save_model
from impasto.phase import base_phase
from impasto.training import Row, fit
from tiny import CPU, architecture, augment, feed, model, stream, train


def test_without_a_compiler_it_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(
        ImpastoError, match=r"train\.compile is true, but there is no C\+\+ compiler .*set train\.compile"
    ):
        compile_parts(model())
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ImpastoError, match="there is no no-such-compiler"):
        compile_parts(model())


def run(config: Train) -> tuple[list[Row], torch.nn.Module]:
    network, found = model(), feed(n=48, augmented=augment(crop=2, mixup=0.5, feature_noise="siedel"))
    told = {"purpose": "test", "resume": Resume("compiled", config.compile), "on_epoch": lambda epoch, row: None}
    return fit(network, found, stream(20, seed=9), [base_phase(config)], config, **told).rows, network  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler hides its own where warnings are no errors
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="no C++ compiler to generate code with")
def test_a_run_of_it(root: Path, tmp_path: Path) -> None:
    """Averaging, mixing inside the network and validation included."""
    plain, wanted = run(train(epochs=2, averaging={"start": 0.5}))
    torch._dynamo.utils.counters.clear()
    found, network = run(train(epochs=2, averaging={"start": 0.5}, compile=True))
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0, "it was compiled"
    assert [row["loss"] for row in found] == pytest.approx([row["loss"] for row in plain], rel=1e-3)
    state: dict[str, Tensor] = network.state_dict()
    assert list(state) == list(wanted.state_dict()) and not any("_orig_mod" in name for name in state)
    save_model(tmp_path / "saved", network, architecture(), tuple("abcd"))
    loaded = load_model(tmp_path / "saved", CPU)[0]
    images = stream(8).gather(torch.arange(8)).float() / 255
    with torch.inference_mode():
        torch.testing.assert_close(loaded(images), deepcopy(network).eval()(images))
