"""The wheel: it holds every file of the package and works where there is no source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from tiny import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PACKAGE = ROOT / "src" / "impasto"
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def python(*words: str, path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """This interpreter, with a folder of packages before all others."""
    environment = os.environ | {"PYTHONPATH": str(path)}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tree, with the rules for files that git ignores, which the build heeds."""
    root = tmp_path_factory.mktemp("wheel")
    tree, tools = root / "tree", root / "tools"
    shutil.copytree(PACKAGE, tree / "src" / "impasto", ignore=IGNORED)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tree / name)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    had = python("-m", "pip", "install", "-q", "--target", str(tools), *wanted, path=tools, cwd=root)
    if had.returncode:
        pytest.skip(f"{wanted} cannot be had here: {had.stderr.strip().splitlines()[-1]}")
    words = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(root), str(tree))
    built = python(*words, path=tools, cwd=root)
    assert built.returncode == 0, built.stderr
    (found,) = root.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A folder with the wheel's content, its dependencies being those of this interpreter."""
    folder = wheel.parent / "installed"
    words = ("-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), str(wheel))
    done = python(*words, path=folder, cwd=wheel.parent)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("impasto/")}
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert packed == {f"impasto/{path.relative_to(PACKAGE).as_posix()}" for path in files}
    data = {Path(name).name for name in packed if not name.endswith(".py")}
    assert {"py.typed", "report.html.j2", "model_card.md.j2", "report.css"} <= data


def test_its_commands_and_stages_run(installed: Path, tmp_path: Path) -> None:
    where = python("-c", "import impasto; print(impasto.__file__)", path=installed, cwd=tmp_path)
    assert where.stdout.strip() == str(installed / "impasto" / "__init__.py")
    for words in ((str(installed / "bin" / "impasto"), "--help"), ("-m", "impasto.stages", "report", "--help")):
        done = python(*words, path=installed, cwd=tmp_path)
        assert done.returncode == 0 and "Usage" in done.stdout, done.stderr
    unknown = python("-m", "impasto.stages", path=installed, cwd=tmp_path)
    assert (unknown.returncode, unknown.stdout) == (2, "") and "there is no stage ''" in unknown.stderr
