"""Settings from the environment, and what each device and precision means."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from impasto.cli import app
from impasto.errors import ImpastoError
from impasto.precision import autocast, resolve
from impasto.runtime import device, first, has_bfloat16, runtime
from impasto.workspace import main_root
from tiny import CPU


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IMPASTO_DEVICE", "IMPASTO_THREADS"):
        monkeypatch.delenv(name)
    found = runtime()
    assert (found.device, found.threads, found.quiet, found.log_model) == ("auto", 0, False, "final")
    assert found.processes == 1 and first()
    assert 0 < found.save_seconds <= 30


@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("IMPASTO_THREADS", "many", "be a whole number"),
        ("IMPASTO_THREADS", "1.5", "be a whole number"),
        ("IMPASTO_THREADS", "", "be a whole number"),
        ("IMPASTO_THREADS", "-1", "be greater than or equal to 0"),
        ("IMPASTO_THREADS", "9" * 30, "be less than or equal to 1024"),
        ("IMPASTO_PROCESSES", "0", "be greater than or equal to 1"),
        ("IMPASTO_SAVE_SECONDS", "0", "be greater than 0"),
        ("IMPASTO_SAVE_SECONDS", "31", "be less than or equal to 30"),
        ("IMPASTO_SAVE_SECONDS", "soon", "be a number"),
        ("IMPASTO_QUIET", "perhaps", "be true or false"),
        ("IMPASTO_QUIET", "a\nb", "be true or false"),
        ("IMPASTO_LOG_MODEL", "always", "be 'final' or 'never'"),
        *(("IMPASTO_DEVICE", name, "be auto, cpu, cuda or cuda:N") for name in ("meta", "mps", "xla:0", "cuda:", "")),
    ],
)
def test_a_bad_setting_is_one_line_of_every_command(
    monkeypatch: pytest.MonkeyPatch, root: Path, name: str, value: str, must: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImpastoError):
        runtime()
    done = CliRunner().invoke(app, ["fetch"])  # it lists sets and works on nothing
    told = f"error: {name}={value!r}: it must {must} [environment]. Correct or unset {name}.\n"
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", told)


def test_a_setting_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_TEST_DATA", "somewhere")  # it is known
    runtime()
    runtime.cache_clear()
    monkeypatch.setenv("IMPASTO_THREDS", "2")
    with pytest.raises(ImpastoError) as caught:
        runtime()
    assert str(caught.value) == "there is no setting IMPASTO_THREDS [environment]. Did you mean 'IMPASTO_THREADS'?"


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = runtime()
    monkeypatch.setenv("IMPASTO_QUIET", "true")
    assert runtime() is first


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:cpu", ""])
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("IMPASTO_DEVICE", name)
    with pytest.raises(ImpastoError, match=r"IMPASTO_DEVICE") as caught:
        device()
    assert "\n" not in str(caught.value) and repr(name) in str(caught.value)


def test_threads_are_set_with_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", calls.append)
    assert device() == CPU
    device.cache_clear()
    runtime.cache_clear()
    monkeypatch.delenv("IMPASTO_THREADS")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    device()
    assert calls == [1, 2]
    for beside, threads in {"2": 2, "8": 1, "16": 1}.items():  # no more threads than cores
        device.cache_clear()
        monkeypatch.setenv("LOCAL_WORLD_SIZE", beside)
        device()
        assert calls.pop() == threads


@pytest.mark.parametrize(("there", "wanted"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch, there: bool, wanted: str) -> None:
    asked: list[str] = []

    def empty(size: int, *, device: str) -> Tensor:
        asked.append(device)
        return torch.zeros(size)  # this machine may have no GPU to make one on

    monkeypatch.setenv("IMPASTO_DEVICE", "auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch, "empty", empty)
    device()
    assert asked == [wanted]


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("flags : avx2 avx512_bf16", True),
        ("Features : asimd bf16", True),
        ("flags : amx_bf16", True),
        ("flags : avx2", False),
    ],
)
def test_bfloat16_is_read_from_the_flags(monkeypatch: pytest.MonkeyPatch, flags: str, found: bool) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: flags)
    has_bfloat16.cache_clear()
    assert has_bfloat16() is found
    has_bfloat16.cache_clear()


def test_no_flags_count_as_no(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    has_bfloat16.cache_clear()
    assert has_bfloat16() is False
    has_bfloat16.cache_clear()


@pytest.mark.parametrize("native", [True, False])
def test_what_auto_means(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr("impasto.precision.has_bfloat16", lambda: native)
    assert resolve("auto", CPU) == ("bf16" if native else "fp32")
    assert resolve("auto", torch.device("cuda")) == "fp16"
    assert resolve("auto", torch.device("mps")) == "fp32"
    for name in ("fp32", "bf16", "fp16"):
        assert resolve(name, CPU) == name


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_autocast_multiplies_in_that_precision(name: str, dtype: torch.dtype) -> None:
    with autocast(name, CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    assert not torch.is_autocast_enabled("cpu")


def test_main_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert main_root() == tmp_path
    monkeypatch.setenv("DVC_ROOT", "..")
    assert main_root() == tmp_path.parent
