"""What every stage shares: one line for faults, exit codes, slices of the parameters, resume keys, timing."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from impasto.cli import app
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.seed import Seed
from impasto.config.train import Train
from impasto.errors import ImpastoError
from impasto.io import read_record, write_text
from impasto.stages import command as module
from impasto.stages.command import PARAMS, Out, Params, command, stage, stage_parameters
from repository import heeding_interrupts
from tiny import ROOT, change

PIPELINE = (
    "stages:\n  one: {cmd: x, params: [seed, train.averaging, lambda], deps: [data, code.py]}\n  check: {cmd: x}\n"
)


class Record:
    """Stands for an MLflow run and notes what it is told."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, Mapping[str, Any], str]] = []
        self.datasets: list[tuple[Any, ...]] = []

    def dataset(self, *facts: Any) -> None:
        self.datasets.append(facts)


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    made = Record()

    @contextmanager
    def stage_run(name: str, params: Mapping[str, Any], where: str, inputs: Mapping[str, Path]) -> Iterator[Record]:
        made.opened.append((name, params, where))
        yield made

    monkeypatch.setattr(module, "stage_run", stage_run)
    return made


@pytest.fixture
def pipeline(params: Path) -> Path:
    """params.yaml, a dvc.yaml, an input and a piece of code."""
    root = params.parent
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "code.py").write_text("a = 1")
    (root / "data").mkdir()
    (root / "data" / "x").write_text("1")
    return params


def call(function: Callable[[], None]) -> Any:
    """Run a function as a command line program."""
    program = typer.Typer(pretty_exceptions_enable=False)
    program.command()(command(function))
    return CliRunner().invoke(program, [])


def raises(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


def test_what_can_be_mended_is_one_line_and_exit_code_2() -> None:
    done = call(raises(ImpastoError("x is 3", where="params.yaml", remedy="Make it 4.")))
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", "error: x is 3 [params.yaml]. Make it 4.\n")


@pytest.mark.parametrize("atomic", [True, False])
def test_a_folder_that_cannot_be_written(tmp_path: Path, atomic: bool) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "x"

    def function() -> None:
        write_text(path, "") if atomic else path.write_text("")

    done = call(function)
    assert done.exit_code == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr and str(path) in done.stderr


def test_a_full_disk() -> None:
    done = call(raises(OSError(errno.ENOSPC, "No space left on device")))
    assert done.exit_code == 2
    assert done.stderr == "error: No space left on device [disk]. Check the path, its permissions and the free space.\n"


def test_an_interruption_says_how_to_go_on() -> None:
    done = call(raises(KeyboardInterrupt()))
    assert done.exit_code == 130
    assert done.stderr == "interrupted: the same command goes on from the last saved point\n"


def test_a_bug_keeps_its_traceback() -> None:
    done = call(raises(ZeroDivisionError("a bug")))
    assert done.exit_code == 1 and isinstance(done.exception, ZeroDivisionError)


def test_a_good_command_is_silent() -> None:
    done = call(lambda: None)
    assert (done.exit_code, done.output) == (0, "")


def test_options_are_those_of_the_function() -> None:
    seen: list[tuple[Path, Path]] = []

    @command
    def made(out: Out, params: Params = PARAMS) -> None:
        """Says what it does."""
        seen.append((out, params))

    program = typer.Typer()
    program.command()(made)
    assert CliRunner().invoke(program, ["--out", "a/b"]).exit_code == 0
    assert CliRunner().invoke(program, []).exit_code == 2
    assert seen == [(Path("a/b"), Path("params.yaml"))]
    assert "Says what it does" in CliRunner().invoke(program, ["--help"]).stdout


def test_a_stage_as_a_program(params: Path) -> None:
    """`python -m impasto.stages check`, as dvc.yaml calls it."""
    change(params, seed=-1)
    run = [sys.executable, "-m", "impasto.stages", "check", "--out", "out.txt"]
    done = subprocess.run(run, cwd=params.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "") and not (params.parent / "out.txt").exists()
    assert done.stderr.startswith("error: seed = -1: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["impasto.stages.check"], ["impasto.stages", "check"]])
def test_a_stage_called_in_a_wrong_way(words: list[str]) -> None:
    program = "impasto.stages.check"
    done = subprocess.run([sys.executable, "-m", *words, "--nope"], capture_output=True, text=True, check=False)
    told = f"error: no such option: --nope [python -m {program}]. See `python -m {program} --help`.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)


HELPERS = ["command", "usage", "__main__", "__init__"]  # modules beside the stages


@pytest.mark.parametrize("words", [[], ["trian"], ["--help"], ["..cli"], *([each] for each in HELPERS)])
def test_a_stage_that_does_not_exist(words: list[str]) -> None:
    run = [sys.executable, "-m", "impasto.stages", *words]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no stage ") and done.stderr.count("\n") == 1


def test_more_interrupts_while_a_program_ends() -> None:
    """What runs at exit, such as torch's own clean-up, would print a traceback for each."""
    code = (
        "import atexit, os, signal, time, typer\n"
        "from impasto.stages.command import run\n"
        "def last():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0.05)\n"
        "def stage():\n"
        "    atexit.register(last)\n"
        "    raise KeyboardInterrupt\n"
        "run(__import__('impasto.stages.command', fromlist=['command']).command(stage))\n"
    )
    done = subprocess.run(heeding_interrupts(["-c", code]), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted: the same command goes on from the last saved point\n"


def test_an_interrupt_while_a_stage_is_being_imported(tmp_path: Path) -> None:
    """The import of a module stands still until the signal has come."""
    (tmp_path / "typer.py").write_text("import time; print('importing', flush=True); time.sleep(60)")
    run = heeding_interrupts(["-m", "impasto.stages", "check", "--out", "out.txt"])
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(run, env=os.environ | {"PYTHONPATH": paths}, text=True, **pipes) as process:
        assert process.stdout is not None and process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize(
    ("before", "during", "after"),
    [("default_int_handler", "SIG_DFL", "default_int_handler"), ("SIG_IGN", "SIG_IGN", "SIG_IGN")],
)
def test_what_an_interrupt_does_while_a_stage_is_imported_and_while_it_runs(
    tmp_path: Path, before: str, during: str, after: str
) -> None:
    """Imported it ends the process, running it is heard by the stage; whoever wants it ignored has it ignored."""
    (tmp_path / "listening.py").write_text(
        "import signal\nfrom impasto.stages.command import command, run\n"
        "def told():\n    now = signal.getsignal(signal.SIGINT)\n"
        "    print(getattr(now, 'name', None) or now.__name__)\n"
        "told()\n@command\ndef listening() -> None:\n    told()\n"
    )
    code = (
        f"import signal, sys; signal.signal(signal.SIGINT, signal.{before}); import impasto.stages; "
        f"impasto.stages.__path__.append({str(tmp_path)!r}); from impasto.stages.__main__ import main; "
        "sys.argv = ['stages', 'listening']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [during, after]


@pytest.mark.usefixtures("record")
def test_a_stage_as_a_command(params: Path) -> None:
    assert CliRunner().invoke(app, ["check", "--out", "data/out.txt"]).exit_code == 0
    first = Path("data/out.txt").read_bytes()
    change(params, lambda_s=0.625)
    assert CliRunner().invoke(app, ["check", "--out", "data/out.txt"]).exit_code == 0
    assert Path("data/out.txt").read_bytes() == first, "the token is the same for every valid file"
    done = CliRunner().invoke(app, ["check", "--out", "params.yaml/out.txt"])
    assert done.exit_code == 2 and done.stderr.startswith("error: cannot write params.yaml/out.txt")


def test_parameters_that_change_under_a_stage_are_told(pipeline: Path, record: Record) -> None:
    """DVC would record the new value for what the old one made; a leaf of other stages may change."""
    with stage("one", pipeline, pipeline.parent / "time.json"):
        change(pipeline, lambda_s=0.125)
    (pipeline.parent / "time.json").unlink()
    told = r"seed, train\.averaging\.anneal changed while one ran"
    with pytest.raises(ImpastoError, match=told), stage("one", pipeline, pipeline.parent / "time.json"):
        change(pipeline, seed=5, train__averaging__anneal=4)
    assert not (pipeline.parent / "time.json").exists()


def test_a_stage_reads_what_it_tracks(pipeline: Path, record: Record) -> None:
    change(pipeline, seed=5, **{"lambda": 0.25}, train__averaging__anneal=4)
    with stage("one", pipeline, None) as this:
        assert this.load(Seed).seed == 5 and this.load(Mix).lambda_ == 0.25
        assert this.load(Train).averaging.anneal == 4
        with pytest.raises(AttributeError, match=r"train\.epochs is read, but dvc\.yaml does not track it"):
            _ = this.load(Train).epochs
    wanted = ["seed", "lambda", "train.averaging.start", "train.averaging.learning_rate", "train.averaging.anneal"]
    assert [(name, list(leaves), where) for name, leaves, where in record.opened] == [("one", wanted, "impasto digits")]


def test_parameters_without_dvc_yaml_and_of_the_check(pipeline: Path) -> None:
    change(pipeline, lambda_s=0.625)
    every = stage_parameters(pipeline, "check")
    assert len(every) > 70 and every["lambda_s"] == 0.625
    pipeline.with_name("dvc.yaml").unlink()
    assert stage_parameters(pipeline, "one") == every


@pytest.mark.usefixtures("record")
def test_a_missing_input_is_told_before_anything_runs(pipeline: Path) -> None:
    with pytest.raises(ImpastoError, match=r"nowhere does not exist .nowhere.*dvc repro"), stage(
        "one", pipeline, None, images=Path("nowhere")
    ):  # fmt: skip
        pytest.fail("the body ran")


def test_inputs_that_are_images_are_logged_as_datasets(pipeline: Path, record: Record) -> None:
    write_text(Path("images") / "meta.json", '{"source": "somewhere"}')
    write_text(Path("model") / "meta.json", '{"loss": 1}')
    with stage("one", pipeline, None, images=Path("images"), model=Path("model"), plain=Path("data")):
        pass
    assert record.datasets == [("images", Path("images"), "somewhere", "images")]


@pytest.mark.usefixtures("record")
def test_time_and_memory_are_written_at_the_end(pipeline: Path) -> None:
    with stage("one", pipeline, Path("metrics/time.json")):
        assert not Path("metrics/time.json").exists()
    cost = read_record(Path("metrics/time.json"))
    assert cost["stage"] == "one" and cost["wall_seconds"] >= 0 and cost["peak_memory_mb"] > 50 and cost["threads"] == 1


@pytest.mark.usefixtures("record")
def test_a_stage_that_fails_writes_no_time(pipeline: Path) -> None:
    with pytest.raises(KeyboardInterrupt), stage("one", pipeline, Path("time.json")):
        raise KeyboardInterrupt
    assert not Path("time.json").exists()


def folder(params: Path) -> Path:
    with stage("one", params, None, data=Path("data")) as this:
        return this.resume("seed-0").folder


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize(
    ("leaf", "value", "same"),
    [
        ("seed", 99, False),
        ("train__averaging__anneal", 99, False),
        ("lambda_s", 0.99, True),
        ("train__epochs", 99, True),
    ],
)
def test_a_resume_point_belongs_to_the_tracked_parameters(pipeline: Path, leaf: str, value: float, same: bool) -> None:
    before = folder(pipeline)
    change(pipeline, **{leaf: value})
    assert (folder(pipeline) == before) == same


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("name", ["data/x", "code.py"])
def test_a_resume_point_belongs_to_inputs_and_code(pipeline: Path, name: str) -> None:
    before = folder(pipeline)
    (pipeline.parent / name).write_text("changed")
    assert folder(pipeline) != before


@pytest.mark.usefixtures("record")
def test_a_resume_point_without_dvc_yaml(pipeline: Path) -> None:
    pipeline.with_name("dvc.yaml").unlink()
    before = folder(pipeline)
    (pipeline.parent / "data" / "x").write_text("2")
    assert folder(pipeline) != before


def test_every_stage_of_the_repository_has_its_parameters() -> None:
    own = {"seed", "dataset.validation", "dataset.imbalance", "balance.rare", "balance.multipliers"}
    assert set(stage_parameters(ROOT / "params.yaml", "split")) == own


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("reference: null", "reference: no/table.csv", "evaluate.reference = 'no/table.csv' does not exist"),
        ("frost_bank: null", "frost_bank: /nowhere", "evaluate.frost_bank = '/nowhere' does not exist"),
        ("corruptions: [c]", "corruptions: [c, fogg]", "unknown corruption 'fogg' [params.yaml: evaluate.corruptions]"),
        ("corruptions: [c]", "corruptions: [C]", "[params.yaml: evaluate.corruptions]. Did you mean 'c'?"),
        ("c_bar: [c-bar]", "c_bar: [c-bat]", "unknown corruption 'c-bat' [params.yaml: evaluate.c_bar]"),
        ("corrupted: generated", "corrupted: official", "evaluate.corrupted is official, but evaluate.root is null"),
    ],
)
def test_check_tells_what_a_late_stage_would_miss(params: Path, old: str, new: str, told: str) -> None:
    text = params.read_text()
    assert old in text
    params.write_text(text.replace(old, new))
    done = CliRunner().invoke(app, ["check", "--out", "out.txt"])
    assert done.exit_code == 2 and told in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("dataset", "path", "remedy"),
    [
        ("cifar10", "data/official/CIFAR-10-C", "Get it with `impasto fetch cifar10-c`, or correct"),
        ("tiny_imagenet", "data/corrupted", "Get it with `impasto fetch tiny-imagenet-c --to data/corrupted`, or"),
        ("cifar100", "/sets/CIFAR-100-C", "Get it with `impasto fetch cifar100-c --to /sets`, or correct"),
        ("digits", "data/official/CIFAR-10-C", "Correct the path, or"),
    ],
)
def test_check_says_how_to_get_a_published_set(params: Path, dataset: str, path: str, remedy: str) -> None:
    size = 64 if dataset == "tiny_imagenet" else 32
    change(params, dataset__name=dataset, dataset__size=size, evaluate__corrupted="official", evaluate__root=path)
    done = CliRunner().invoke(app, ["check", "--out", "out.txt"])
    assert done.exit_code == 2 and f"evaluate.root = '{path}' does not exist" in done.stderr and remedy in done.stderr


@pytest.mark.usefixtures("record")
def test_weights_that_are_downloaded_need_not_be_there(params: Path) -> None:
    vit = TIMM | {"model__timm": "vit_base_patch16_224", "model__weights": "torchvision-vit-b-16"}
    change(params, **vit, finetune__stages=[])
    done = CliRunner().invoke(app, ["check", "--out", "out.txt"])
    assert done.exit_code == 0, done.stderr


OWN = {"dataset__name": "cifar10", "dataset__root": "data/mine.tar.gz", "dataset__published": False}
TIMM = {f"model__{leaf}": None for leaf in Model.model_fields if leaf not in ("name", "normalise")} | {
    "model__name": "timm"
}


@pytest.mark.parametrize(
    ("leaves", "told"),
    [
        (OWN, "dataset.root = 'data/mine.tar.gz' does not exist"),
        (TIMM | {"model__timm": "resnet81"}, "timm has no network 'resnet81' [model.timm]. Did you mean 'resnet18'?"),
        (TIMM | {"model__timm": "resnet18.nowhere"}, "Invalid pretrained tag (nowhere) for resnet18. [model.timm]."),
        (TIMM | {"model__timm": "resnet18", "model__weights": "no.pth"}, "model.weights = 'no.pth' does not exist"),
    ],
)
def test_check_tells_files_and_networks_that_are_not_there(params: Path, leaves: dict[str, Any], told: str) -> None:
    change(params, **leaves, finetune__stages=[])
    done = CliRunner().invoke(app, ["check", "--out", "out.txt"])
    assert done.exit_code == 2 and told in done.stderr and done.stderr.count("\n") == 1


HEAD = {"model__attention": "gap", "model__head_dropout": 0.0}
UNFROZEN = [{"open": 9, "epochs": 1, "learning_rate": 0.1, "batch_norm": "train"}]


@pytest.mark.parametrize(
    ("leaves", "told"),
    [
        (
            TIMM | HEAD | {"model__timm": "resnet18", "model__taps": [3]},
            "resnet18 has no map of stride 3 [model.taps].",
        ),
        (HEAD | {"model__taps": [1, 4]}, "wrn has no map of stride 1 [model.taps]."),
        (
            TIMM | HEAD | {"model__timm": "resnet18", "model__taps": [4, 16]},
            "the map of stride 16 has 2 x 2 positions; attention needs 4 x 4 [model.taps].",
        ),
        (
            TIMM | {"model__timm": "test_resnet", "finetune__stages": UNFROZEN},
            "9 blocks are to learn, but the network has 6 [train.open, finetune.stages]. Open 6 at most.",
        ),
        (
            HEAD | {"model__taps": [2, 4], "finetune__stages": [UNFROZEN[0] | {"open": 5}]},
            "5 blocks are to learn, but the network has 4",  # what lies behind the last tap is left out
        ),
        (TIMM | {"model__timm": "test_resnet", "train__open": 7, "train__averaging__start": 1.0}, "7 blocks are to"),
    ],
)
def test_check_tells_what_only_the_network_knows(params: Path, leaves: dict[str, Any], told: str) -> None:
    """Before hours of other stages, and not from the first batch of training."""
    change(params, **{"dataset__size": 32, "finetune__stages": []} | leaves)
    done = CliRunner().invoke(app, ["check", "--out", "out.txt"])
    assert done.exit_code == 2 and told in done.stderr and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.usefixtures("record")
def test_check_takes_small_images_for_a_transformer_that_resizes_them(params: Path) -> None:
    change(params, **TIMM | HEAD | {"model__timm": "test_vit", "model__taps": [16]}, finetune__stages=[])
    done = CliRunner().invoke(app, ["check", "--out", "out.txt"])
    assert done.exit_code == 0, done.stderr


@pytest.mark.usefixtures("record")
def test_check_tells_that_frost_alone_leaves_nothing_for_c(params: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.corruptions.frost_bank._PACKAGE", "a_package_that_is_not_installed")
    (params.parent / "pictures").mkdir()
    for corruptions, bank, code in (["frost"], None, 2), (["frost"], "pictures", 0), (["frost", "fog"], None, 0):
        change(params, evaluate__corruptions=corruptions, evaluate__frost_bank=bank)
        done = CliRunner().invoke(app, ["check", "--out", "out.txt"])
        assert done.exit_code == code
        told = "error: the photographs of frost are not on this machine [" if code else ""
        assert done.stderr.startswith(told) and done.stderr.count("\n") == (1 if code else 0)


@pytest.mark.usefixtures("record")
def test_check_takes_what_will_come_and_what_is_there(params: Path) -> None:
    for leaves in (OWN | {"dataset__published": True}, OWN, TIMM | {"model__timm": "resnet18.a1_in1k"}):
        change(params, **leaves, finetune__stages=[])
        assert CliRunner().invoke(app, ["check", "--out", "out.txt"]).exit_code == 0
        write_text(Path("data/mine.tar.gz"), "")


@pytest.mark.parametrize(("name", "imported"), [("wrn", False), pytest.param("timm", True, marks=pytest.mark.slow)])
def test_check_imports_timm_only_for_its_networks(params: Path, name: str, imported: bool) -> None:
    if imported:
        change(params, **TIMM | {"model__timm": "resnet18"}, finetune__stages=[])
    code = "import sys; from impasto.stages.check import _known_network; from pathlib import Path; "
    code += "_known_network(Path('params.yaml')); print('timm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(imported)
