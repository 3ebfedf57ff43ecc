"""One mistake in a workflow gives one message, and another one elsewhere gives a second."""

import itertools
import shutil
from pathlib import Path

import pytest
import yaml
from hcrc.compiler.compile import Request, compile_workflow

ROOT = Path(__file__).parents[1]
CASES = ("axes", "chain", "includes", "paths", "references", "tag-of-an-offset", "texts")
WORKFLOWS = [
    *(ROOT / "workflows" / f"{name}.yml" for name in ("demo", "svb", "fvt")),
    *(ROOT / f"tests/cases/compile/{name}/workflow.yml" for name in CASES),
]
REQUIRED = {"cache": "datasets", "train": "classifier", "evaluate": "models", "plot": "models"}


def tasks_of(path):
    return [
        pytest.param(path, name, id=f"{path.parent.name}-{path.stem}-{name}")
        for name, task in yaml.safe_load(path.read_text())["tasks"].items()
        if task.get("enable", True) is True
    ]


EACH = [task for path in WORKFLOWS for task in tasks_of(path)]


@pytest.fixture
def codes(tmp_path):
    """The codes of the errors in a workflow, after its tasks are changed."""

    def compile_changed(path, change):
        folder = shutil.copytree(path.parent, tmp_path / "case")
        whole = yaml.safe_load(path.read_text())
        change(whole["tasks"])
        file = folder / path.name
        file.write_text(yaml.safe_dump(whole, sort_keys=False))
        arguments = path.with_name("arguments.txt")
        lines = arguments.read_text().splitlines() if arguments.is_file() else []
        given = {option: [] for option in ("--template", "--param")}
        for option, value in itertools.pairwise(lines):
            given.get(option, []).append(value)
        request = Request(file, *map(tuple, given.values()), (), {"USER": "someone"}, folder)
        found = compile_workflow(request).diagnostics
        return [item.code for item in found if item.severity == "error"]

    return compile_changed


@pytest.mark.parametrize(("path", "name"), EACH)
def test_a_key_that_is_not_there_is_one_error(path, name, codes):
    assert codes(path, lambda tasks: tasks[name].update(kflodz=3)) == ["unknown-key"]


@pytest.mark.parametrize(("path", "name"), EACH)
def test_a_key_that_is_missing_is_one_error(path, name, codes):
    def remove(tasks):
        tasks[name].pop(REQUIRED.get(tasks[name]["task"], "task"))

    assert codes(path, remove) == ["missing-key"]


@pytest.mark.parametrize(("path", "name"), EACH)
def test_an_unknown_kind_of_task_is_one_error(path, name, codes):
    assert codes(path, lambda tasks: tasks[name].update(task="tarin")) == ["unknown-task-kind"]


@pytest.mark.parametrize(("path", "name"), EACH)
def test_a_mistake_hides_no_other(path, name, codes):
    def change(tasks):
        tasks[name]["kflodz"] = 3
        for task in tasks.values():
            task["output"] = "out/{nowhere}"

    found = codes(path, change)
    assert sorted(found) == ["unknown-key"] + ["unknown-placeholder"] * len(tasks_of(path))
