"""The import closure of each stage, and whether dvc.yaml lists exactly that: `python tests/closure.py [--write]`."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"


def module_file(name: str) -> Path | None:
    """The file of a module of the package, None for anything else."""
    path = SOURCE.joinpath(*name.split("."))
    if path.with_suffix(".py").exists():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").exists() else None


@cache
def imports(file: Path) -> frozenset[Path]:
    """The package's modules that a file imports, also inside functions, but not for type checking only."""
    tree = ast.parse(file.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    found = {module_file(name) for name in names if name.startswith("impasto.")}
    return frozenset(path for path in found if path is not None)


def closure(file: Path) -> set[Path]:
    """A file and every module of the package that it imports, directly or not; packages' docstring files left out."""
    seen: set[Path] = set()
    queue = [file]
    while queue:
        path = queue.pop()
        if path not in seen:
            seen.add(path)
            queue.extend(imports(path))
    return {path for path in seen if path.name != "__init__.py"}


def code_deps(stage: str) -> list[str]:
    """What dvc.yaml must list for a stage, templates beside its modules included; relative to the root, sorted."""
    stages = SOURCE / "impasto" / "stages"
    found = closure(stages / f"{stage}.py") | closure(stages / "__main__.py")
    found |= {path for file in found for path in file.parent.iterdir() if path.suffix in {".j2", ".css"}}
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def rewrite(text: str) -> str:
    """dvc.yaml with the code dependencies of every stage brought up to date; data dependencies stay."""

    def one(match: re.Match[str]) -> str:
        stage, head, deps = match["stage"], match["head"], match["deps"]
        data = [dep for dep in re.split(r"[\s,]+", deps) if dep and not dep.startswith("src/")]
        body = ", ".join([*data, *code_deps(stage)])
        lines = textwrap.wrap(body, 118, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False)
        return f"  {stage}:\n{head}    deps: [\n" + "\n".join(lines) + "]\n"

    pattern = r"  (?P<stage>\w+):\n(?P<head>    cmd:(?:(?!    deps:).*\n)*)    deps: \[(?P<deps>[^\]]*)\]\n"
    return re.sub(pattern, one, text)


if __name__ == "__main__":
    pipeline = ROOT / "dvc.yaml"
    fresh = rewrite(pipeline.read_text())
    if "--write" in sys.argv:
        pipeline.write_text(fresh)
    sys.exit(fresh != pipeline.read_text())
