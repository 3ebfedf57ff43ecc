"""trace, why, diff and inspect: golden cases, each a folder of input and a list of commands.

``BUNDLE`` in a command is the folder that the last ``compile`` printed. UPDATE_GOLDEN=1 writes
the outputs anew.
"""

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest
from hcrc.compiler.cli import main

CASES = Path(__file__).parent / "cases" / "explain"
FOLDERS = sorted(folder for folder in CASES.iterdir() if folder.is_dir())


@pytest.fixture
def enter(tmp_path, monkeypatch):
    def copy(folder):
        place = tmp_path / "case"
        shutil.copytree(folder, place)
        monkeypatch.chdir(place)
        monkeypatch.setenv("USER", "someone")
        monkeypatch.setenv("COLUMNS", "100")
        return place

    return copy


def call(words, capsys):
    """Exit code, standard output and standard error of a command line."""
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def play(place, capsys):
    """What a list of commands prints, bundles under names of their own."""
    bundles = []
    shown = []
    for line in (place / "commands.txt").read_text().splitlines():
        words = [bundles[-1] if word == "BUNDLE" else word for word in shlex.split(line)]
        code, out, err = call(words, capsys)
        text = f"$ hcrc {line}\n{out}{err}" + f"exit {code}\n" * (code != 0)
        if words[0] == "compile":
            assert code == 0, err
            bundles.append(out.strip())
        for number, bundle in enumerate(bundles, 1):
            text = text.replace(bundle, f"BUNDLE{number}")
        shown.append(text.replace(str(place), "$CASE"))
    return "\n".join(shown)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_case(folder, enter, capsys):
    place = enter(folder)
    text = play(place, capsys)
    path = folder / "output.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.fixture
def traced(enter, capsys):
    """A bundle of the case of traces, in its folder."""
    place = enter(CASES / "trace")
    code, out, _ = call(["compile", "workflow.yml", "-o", "bundles"], capsys)
    assert code == 0
    return place / out.strip()


def test_a_trace_needs_nothing_but_the_bundle(traced, capsys, tmp_path, monkeypatch):
    before = call(["trace", str(traced), "0"], capsys)
    assert before[0] == 0
    moved = shutil.copytree(traced, tmp_path / "moved")
    shutil.rmtree(traced.parents[2])
    monkeypatch.delenv("USER")
    monkeypatch.chdir(tmp_path)
    assert call(["trace", str(moved), "0"], capsys) == before


def test_every_leaf_of_every_job_has_an_origin(traced, capsys):
    lines = (traced / "jobs.jsonl").read_text().splitlines()
    for job in map(json.loads, lines):
        code, out, _ = call(["trace", str(traced), str(job["number"]), "--format", "json"], capsys)
        assert code == 0
        for cell, found in zip(job["cells"], json.loads(out), strict=True):
            values = {item["key"]: item["value"] for item in found["values"]}
            expected = {"output": cell["output"]}
            expected |= dict(leaves({"axes": cell["axes"], "execution": job["execution"]}))
            expected |= dict(leaves(cell["spec"]))
            expected.pop("axes", None)
            assert values == expected
            assert all(item["place"] or item["words"] for item in found["values"])


COMPILED = sorted((CASES.parent / "compile").iterdir())


@pytest.mark.parametrize("folder", COMPILED, ids=lambda folder: folder.name)
def test_every_job_of_every_compiled_case_can_be_traced(folder, enter, capsys):
    enter(folder)
    arguments = folder / "arguments.txt"
    words = arguments.read_text().splitlines() if arguments.exists() else []
    code, out, err = call(["compile", "workflow.yml", "-o", "bundles", *words], capsys)
    assert code == 0, err
    bundle = Path(out.strip())
    for number in range(json.loads((bundle / "plan.json").read_text())["jobs"]):
        code, out, err = call(["trace", str(bundle), str(number), "--format", "json"], capsys)
        assert (code, err) == (0, "")
        for item in (item for cell in json.loads(out) for item in cell["values"]):
            assert item["place"] or item["words"], item
            assert not any("this hcrc reads" in step["text"] for step in item["steps"]), item


def leaves(value, path=""):
    """The values that a trace tells apart: lists of scalars are one, but for those of files."""
    for key, item in value.items():
        at = f"{path}.{key}" if path else key
        if isinstance(item, dict) and item:
            yield from leaves(item, at)
        elif isinstance(item, list) and item and (isinstance(item[0], dict) or key == "files"):
            yield from leaves(dict(enumerate(item)), at)
        else:
            yield at, item


def test_a_bundle_without_sources_or_with_others_says_so(traced, capsys):
    record = json.loads((traced / "sources.json").read_text())
    name = next(name for name in record["files"] if name.endswith("workflow.yml"))
    record["files"][name] = (
        record["files"][name].replace("cache:", "cash:").replace(": cache", ": cash")
    )
    (traced / "sources.json").write_text(json.dumps(record))
    code, _, err = call(["trace", str(traced), "0"], capsys)
    assert code == 1
    assert "does not compile the bundle's sources" in err
    (traced / "sources.json").unlink()
    code, _, err = call(["trace", str(traced), "0"], capsys)
    assert code == 1
    assert err.endswith("sources.json: No such file or directory: compile the workflow again\n")


def test_of_a_task_with_many_cells_the_first_are_traced(enter, capsys):
    place = enter(CASES / "tasks-by-name")
    file = place / "workflow.yml"
    file.write_text(file.read_text().replace("offset: 0-1", "offset: 0-24"))
    bundle = call(["compile", file.name], capsys)[1].strip()
    code, out, err = call(["trace", bundle, "make", "axes"], capsys)
    assert (code, err) == (0, "")
    assert out.count("axes.offset = ") == 20
    assert out.splitlines()[-1] == "… 25 cells in all: name one, or --format json has all"
    out = call(["trace", bundle, "make", "axes", "--format", "json"], capsys)[1]
    assert len(json.loads(out)) == 25
