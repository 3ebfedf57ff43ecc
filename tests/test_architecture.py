"""The rules of the house: who imports whom, how long things are, what is packaged."""

import ast
import configparser
import json
import os
import statistics
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HALVES = ("compiler", "runtime")
SOURCES = sorted(path for half in HALVES for path in (ROOT / half).rglob("*.py"))
HEAVY = ("torch", "numpy", "uproot", "awkward", "htcondor2", "matplotlib", "fsspec")
SLOW = {"argparse", "json", "pathlib", "re", "typing", "yaml", "dataclasses", "subprocess"}
DEMO = str(ROOT / "workflows" / "demo.yml")


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path):
    """Modules that a file imports at its top level, relative ones by their full name."""
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            target = ".".join([*base, node.module] if node.module else base)
            yield target
            yield from (f"{target}.{alias.name}" for alias in node.names)


def functions():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node.name, node.end_lineno - node.lineno + 1


def loaded_modules(arguments, cwd):
    code = (
        "import json, sys\n"
        "from hcrc.compiler.cli import main\n"
        "try:\n    code = main(sys.argv[1:])\n"
        "except SystemExit as end:\n    code = end.code\n"
        "print('\\n' + json.dumps([code, sorted(sys.modules)]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(run.stdout.splitlines()[-1])
    assert not code, run.stderr
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["check", DEMO],
        ["expand", DEMO],
        ["compile", DEMO],
        ["help", "--all", "--file", DEMO],
        ["init", "-"],
        ["task", "plot", "--models", "a/result.json", "--as-workflow"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_compiler_imports_nothing_heavy(arguments, tmp_path):
    assert not loaded_modules(arguments, tmp_path) & set(HEAVY)


def start_modules(arguments, cwd, **variables):
    """Modules that a fresh command line has at its end, but for those that python starts with."""
    code = (
        "import atexit, os, sys\n"
        "before = set(sys.modules)\n"
        "def tell(*_):\n    print('\\n' + ' '.join(set(sys.modules) - before))\n"
        "    sys.stdout.flush()\n"
        "atexit.register(tell)\n"
        "end, os._exit = os._exit, lambda code: (tell(), end(code))\n"
        "from hcrc.compiler.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "HOME": str(cwd), "XDG_CACHE_HOME": str(cwd), **variables}
    run = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return set(run.stdout.splitlines()[-1].split())


def test_help_imports_nothing(tmp_path):
    own = {name for name in start_modules(["--help"], tmp_path) if name.startswith("hcrc")}
    assert own == {"hcrc", "hcrc.compiler", "hcrc.compiler.cli", "hcrc.compiler.commands"}
    assert not start_modules(["--help"], tmp_path) & SLOW


def test_completion_imports_nothing(tmp_path):
    """The first TAB reads the commands and the workflow; the next ones only what it kept."""
    for line in ("hcrc che", f"hcrc check {DEMO} --param k", "hcrc check --setting IO '{"):
        asked = {
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "answer"),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        start_modules([], tmp_path, **asked)
        assert not start_modules([], tmp_path, **asked) & SLOW
        assert (tmp_path / "answer").read_text()


def test_checking_imports_nothing_slow_that_it_can_do_without(tmp_path):
    """Each costs several percent of the time; a dataclass costs seven times a NamedTuple."""
    slow = {"dataclasses", "inspect", "jinja2", "jsonschema", "shutil", "tempfile", "zipfile"}
    assert not loaded_modules(["check", DEMO], tmp_path) & {*slow, "hcrc.compiler.sites"}


@pytest.mark.parametrize(("half", "other"), [HALVES, HALVES[::-1]])
def test_neither_half_imports_the_other(half, other):
    for path in (ROOT / half).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = f"{node.module}." + ".".join(alias.name for alias in node.names)
                assert f"hcrc.{other}" not in names, path
                assert not (node.level and other in names.split(".")), path
            elif isinstance(node, ast.Import):
                assert all(f"hcrc.{other}" not in alias.name for alias in node.names), path


def test_there_are_no_import_cycles():
    names = {module_name(path) for path in SOURCES}
    graph = {
        module_name(path): {name for name in imported_modules(path) if name in names}
        - {module_name(path)}
        for path in SOURCES
    }
    for name, targets in graph.items():
        packages = {target for target in targets if name.startswith(f"{target}.")}
        graph[name] = targets - packages
    TopologicalSorter(graph).prepare()


def test_packages_are_those_of_the_folders():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    folders = {path.parent for half in HALVES for path in (ROOT / half).rglob("*.py")}
    found = {f"hcrc.{'.'.join(folder.relative_to(ROOT).parts)}" for folder in folders}
    assert listed == found | {"hcrc.schemas", "hcrc.templates", "hcrc.workflows"}


def test_functions_are_short():
    lengths = list(functions())
    assert statistics.median(length for _, _, length in lengths) <= 10
    assert [item for item in lengths if item[2] > 60] == []


def test_files_are_short():
    long = {path.name for path in SOURCES if len(path.read_text().splitlines()) > 400}
    assert long <= {"hcr.py"}


def test_no_module_is_called_utils():
    assert not [path for path in SOURCES if path.stem in ("utils", "helpers", "common", "misc")]


def test_no_module_holds_state():
    """Names that modules bind to lists, dicts and sets are constants, and none is rebound."""
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)], path
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
            if isinstance(getattr(node, "value", None), ast.Dict | ast.List | ast.Set):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                assert all(name.isupper() or name == "__all__" for name in names), (path, names)


def test_constants_and_modules_are_documented():
    missing = [path for path in SOURCES if path.stat().st_size and not documented(path)]
    assert missing == []


def documented(path):
    return ast.get_docstring(ast.parse(path.read_text())) is not None
