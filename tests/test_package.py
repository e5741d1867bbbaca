"""Rules of the package as a whole: what is public, what imports what, what importing it costs."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import typestream

ROOT = Path(typestream.__file__).parent
MODULES = sorted(
    info.name for info in pkgutil.walk_packages([str(ROOT)], "typestream.") if info.name != "typestream.__main__"
)
PURE = ("errors", "events", "pacing", "transforms", "decode", "render", "result", "timing", "_core", "_stall", "_json")
NEVER = {"time", "asyncio", "anyio", "threading", "openai", "trio"}
# who may import whom: nothing imports what stands to its right
ORDER = (
    ("events", "errors"),
    ("pacing", "transforms", "decode", "render", "result", "timing", "_json", "_failures", "_stall"),
    ("_core",),
    ("_sync", "_async", "_stream"),
    ("_open", "_wrap"),
)


def imported(path: Path, *, at_import: bool) -> set[str]:
    """The modules that a file imports; those that importing it imports, or all."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if at_import and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                found.add(child.module)
            visit(child)

    visit(tree)
    return found


def files(*names: str) -> list[Path]:
    paths = []
    for name in names:
        paths += [ROOT / f"{name}.py"] if (ROOT / f"{name}.py").exists() else sorted((ROOT / name).rglob("*.py"))
    return paths


@pytest.mark.parametrize("path", files(*PURE), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_pure_imports_no_clock_no_loop_and_no_sdk(path):
    assert not {name.partition(".")[0] for name in imported(path, at_import=True)} & NEVER


@pytest.mark.parametrize("rank", range(len(ORDER) - 1))
def test_dependencies_point_one_way(rank):
    right = {f"typestream.{name}" for names in ORDER[rank + 1 :] for name in names}
    for path in files(*ORDER[rank]):
        for name in imported(path, at_import=True):
            assert not any(name == module or name.startswith(module + ".") for module in right), f"{path}: {name}"


def test_importing_typestream_loads_neither_sdk_nor_event_loop():
    code = (
        "import sys, typestream; print([m for m in ('openai', 'anyio', 'asyncio', 'trio', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["typestream", *MODULES])
def test_all_is_a_sorted_tuple_of_what_is_there(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as missing:
        pytest.skip(f"an optional package is missing: {missing.name}")
    exported = getattr(module, "__all__", None)
    if exported is None:
        pytest.skip("exports nothing")
    assert isinstance(exported, tuple)
    assert sorted(exported) == list(dict.fromkeys(sorted(exported)))
    for public in exported:
        assert hasattr(module, public)


def test_everything_public_has_a_docstring():
    for name in typestream.__all__:
        assert getattr(typestream, name).__doc__ or name == "Event", name
