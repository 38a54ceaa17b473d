"""Imports point down the layers, and each third-party tool has one door."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from closure import SOURCE, closure, imports

LAYERS = [
    ("errors", "workspace", "io", "rng", "runtime", "ranks", "progress", "precision", "picture", "config",
     "private", "locked", "shared_runs"),
    ("data.images", "data.decode", "data.stream", "data.remote", "data.checked", "data.archive", "data.image_folder",
     "data.members", "data.pickled", "data.pinned", "data.origin", "data.weights", "data.small", "data.collection",
     "data.grouped", "data.long_tail",
     "corrupted.manifest", "corrupted.published", "corrupted.fetch", "corrupted.layout", "corrupted.stored",
     "corrupted.agreement", "corrupted.make", "corrupted.write", "slots",
     "gallery", "corruptions", "augment", "models", "losses", "focal", "criterion", "validation",
     "metrics", "comparisons", "verdict", "claims", "claim_runs", "averaging", "tracking"),
    ("checkpoint", "kept", "data.sources", "style", "synthetic", "fid.moments", "fid.buckets", "fid.frechet",
     "fid.extractors", "fid.efficientnet_lite0_112", "fid.inception", "fid.resize"),
    ("mix", "faithful", "copies_per_class", "copies", "paintings", "features", "feed", "batch_augment",
     "corrupted.sources", "evaluation", "classes", "scores", "explain", "fid.curve"),
    ("phase", "optimiser", "selection", "frozen", "loop"),
    ("training", "finetuning", "report"),
    ("stages",),
    ("tuning",),
    ("commands", "cli", "__main__"),
]  # fmt: skip
DOORS = {
    "mlflow": ("tracking",),
    "typer": ("stages", "commands", "cli"),
    "matplotlib": ("report", "explain", "tuning"),
    "jinja2": ("report", "tuning"),
    "ray": ("tuning",),
    "optuna": ("tuning",),
    "mlxtend": ("data.sources",),
    "timm": ("models",),
    "requests": ("data.remote", "data.small"),
}
LAZY = ("corruptions",)
FILES = sorted(p for p in (SOURCE / "impasto").rglob("*.py") if p.name != "__init__.py")


def dotted(file: Path) -> str:
    return ".".join(file.relative_to(SOURCE / "impasto").with_suffix("").parts)


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer(file: Path) -> int:
    places = [n for n, names in enumerate(LAYERS) for entry in names if inside(dotted(file), entry)]
    assert len(places) == 1, f"{dotted(file)} stands in {len(places)} layers"
    return places[0]


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_imports_point_down(file: Path) -> None:
    for other in imports(file):
        if other.name != "__init__.py":
            assert layer(other) <= layer(file), f"{dotted(file)} imports {dotted(other)}, which lies above it"


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_one_door_per_tool(file: Path) -> None:
    tree = ast.walk(ast.parse(file.read_text()))
    names = [a.name for n in tree if isinstance(n, ast.Import) for a in n.names]
    names += [n.module or "" for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.ImportFrom)]
    for tool, rooms in DOORS.items():
        if any(inside(name, tool) for name in names):
            assert any(inside(dotted(file), room) for room in rooms), f"{dotted(file)} imports {tool}"


def test_packages_hold_no_code() -> None:
    """What a package's ``__init__`` did, every stage would depend on, and dvc.yaml would not know."""
    for file in (SOURCE / "impasto").rglob("__init__.py"):
        body = ast.parse(file.read_text()).body
        if file.parent.name not in LAZY:
            assert all(isinstance(n, ast.Expr | ast.Assign) for n in body) and len(body) <= 2, file


@pytest.mark.parametrize("package", LAZY)
def test_a_lazy_package_holds_nothing_but_names_of_its_modules(package: str) -> None:
    """Users import from the package; it defines nothing, and imports nothing until a name is asked for."""
    file = SOURCE / "impasto" / package / "__init__.py"
    _, *imported, public, function = ast.parse(file.read_text()).body
    assert isinstance(public, ast.Assign) and isinstance(function, ast.FunctionDef) and function.name == "__getattr__"
    for node in imported:
        outside = isinstance(node, ast.ImportFrom) and node.module in {"__future__", "typing"}
        assert outside or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    assert [ast.unparse(node) for node in function.body[2:-1]] == [f"from impasto.{package} import registry"]


@pytest.mark.parametrize("package", LAZY)
def test_the_closure_looks_through_a_lazy_package(package: str, tmp_path: Path) -> None:
    """A stage that imports a name from the package depends on the module that defines it."""
    stage = tmp_path / "stage.py"
    stage.write_text(f"from impasto.{package} import names")
    registry = SOURCE / "impasto" / package / "registry.py"
    assert registry in closure(stage) and closure(registry) - {stage} <= closure(stage)
