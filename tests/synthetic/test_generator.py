"""Fitting and sampling: learning, resuming and restarting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import impasto.synthetic.fit as fitting
from impasto.checkpoint import Resume
from impasto.config.synthetic import Generator as Settings
from impasto.errors import ImpastoError
from impasto.rng import generator
from impasto.synthetic.fit import build, fit_generator, learning_rate
from impasto.synthetic.sample import CHUNK, sample, sample_pool, to_pixels
from impasto.synthetic.unet import UNet

SETTINGS = Settings(
    width=8,
    iterations=6,
    batch=4,
    learning_rate=2e-3,
    label_drop=0.2,
    guidance=1.0,
    sampler_steps=2,
    clean_tolerance=8,
)


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def data() -> tuple[Tensor, Tensor]:
    source = generator(0, "data")
    return torch.randint(256, (12, 3, 16, 16), generator=source).to(torch.uint8), torch.arange(12) % 3


def weights(network: UNet) -> Tensor:
    return torch.cat([weight.flatten() for weight in network.state_dict().values()])


def test_a_resumed_fit_equals_an_uninterrupted_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit_generator(*data(), 3, SETTINGS, 0, Resume("whole"))
    descend, calls = fitting._descend, []

    def killed_at_the_fifth(*args: object) -> Tensor:
        calls.append(1)
        if len(calls) == 5:
            raise KilledError
        return descend(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Resume, "due", lambda self: len(calls) == 3)
    monkeypatch.setattr(fitting, "_descend", killed_at_the_fifth)
    with pytest.raises(KilledError):
        fit_generator(*data(), 3, SETTINGS, 0, Resume("killed"))
    resumed = fit_generator(*data(), 3, SETTINGS, 0, Resume("killed"))
    assert len(calls) == 5 + 3  # three steps were saved, the rest is done again
    assert torch.equal(weights(resumed.network), weights(whole.network))
    assert torch.equal(resumed.losses, whole.losses)
    assert torch.equal(
        weights(fit_generator(*data(), 3, SETTINGS, 0, Resume("killed")).network), weights(whole.network)
    )
    assert len(calls) == 8


def test_fit_learns_and_depends_on_the_seed() -> None:
    settings = SETTINGS.model_copy(update={"iterations": 80, "batch": 16, "learning_rate": 5e-3})
    flat = (torch.rand(32, 3, 1, 1, generator=generator(0, "flat")) * 255).to(torch.uint8).expand(32, 3, 16, 16)
    fitted = fit_generator(flat.contiguous(), torch.zeros(32).long(), 1, settings, 0, Resume("flat"))
    assert fitted.losses[-20:].mean() < 0.6 * fitted.losses[:5].mean()
    other = build(3, 8, 1, torch.device("cpu"))
    assert not torch.equal(weights(build(3, 8, 0, torch.device("cpu"))), weights(other))


def test_learning_rate_rises_and_falls_to_zero() -> None:
    settings = SETTINGS.model_copy(update={"iterations": 1000})
    rates = [learning_rate(step, settings) for step in range(1001)]
    assert rates[0] == pytest.approx(2e-5) and max(rates) < 2e-3 and rates[1000] == 0
    assert rates[500] == pytest.approx(1e-3)


def test_images_must_halve_three_times() -> None:
    with pytest.raises(ImpastoError, match="28 x 28 px"):
        fit_generator(torch.zeros(4, 3, 28, 28, dtype=torch.uint8), torch.zeros(4).long(), 1, SETTINGS, 0, Resume("x"))


def network() -> UNet:
    made = build(3, 8, 0, torch.device("cpu")).eval().requires_grad_(False)
    torch.nn.init.normal_(made.head.weight, std=0.1, generator=generator(0, "head"))
    return made


def test_chunks_do_not_depend_on_where_sampling_stopped(tmp_path: Path) -> None:
    labels = np.arange(2 * CHUNK + 10) % 3
    whole = sample_pool(network(), labels, 8, SETTINGS, 0, tmp_path / "a")
    assert whole.shape == (len(labels), 3, 8, 8) and whole.dtype == np.uint8
    assert len({image.tobytes() for image in whole}) == len(whole)

    again = tmp_path / "b"
    sample_pool(network(), labels, 8, SETTINGS, 0, again)
    (again / "chunk-000001.npy").unlink()
    before = (again / "chunk-000000.npy").stat().st_mtime_ns
    assert np.array_equal(sample_pool(network(), labels, 8, SETTINGS, 0, again), whole)
    assert (again / "chunk-000000.npy").stat().st_mtime_ns == before
    assert not np.array_equal(sample_pool(network(), labels, 8, SETTINGS, 1, tmp_path / "c"), whole)


def test_the_label_matters_and_so_does_guidance() -> None:
    noise = torch.randn(3, 3, 8, 8, generator=generator(0, "noise"))
    guided = SETTINGS.model_copy(update={"sampler_steps": 6})
    first = sample(network(), torch.tensor([0, 0, 0]), noise, guided)
    assert not torch.equal(first, sample(network(), torch.tensor([1, 1, 1]), noise, guided))
    unguided = guided.model_copy(update={"guidance": 0.0})
    assert not torch.equal(first, sample(network(), torch.tensor([0, 0, 0]), noise, unguided))


def test_pixels_are_rounded_and_clipped() -> None:
    signal = torch.tensor([-3.0, -1.0, 0.0, 1.0, 2.0, 1 / 127.5]).reshape(1, 1, 1, 6)
    assert to_pixels(signal).flatten().tolist() == [0, 0, 128, 255, 255, 128]
