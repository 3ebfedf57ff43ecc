"""The register of codes: each is raised in a golden case, and explained."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hcrc.compiler.cli import main
from hcrc.compiler.codes import (
    CODES,
    ERRORS,
    MISSING,
    NOT_FOLLOWING,
    PLACEHOLDERS,
    UNREAD,
    WARNINGS,
    WRONG_TYPES,
)
from hcrc.compiler.commands.explain import read_explanations

CASES = Path(__file__).parent / "cases"
FOUND = re.compile(r"^(\S+?)(?::\d+:\d+)?: (error|warning)\[([a-z0-9-]+)\]: ", re.MULTILINE)


def golden():
    """All diagnostics of the golden cases: severity, code, and the text of each."""
    for path in CASES.glob("*/*/output.txt"):
        for block in path.read_text().split("\n\n"):
            found = FOUND.match(block)
            if found:
                yield (*found.groups(), block)


def test_every_code_has_a_golden_case_and_none_is_made_up():
    assert {code for _, _, code, _ in golden()} == set(CODES)


def test_cases_show_each_code_with_its_severity():
    assert {code for _, severity, code, _ in golden() if severity == "warning"} == set(WARNINGS)
    assert {code for _, severity, code, _ in golden() if severity == "error"} == set(ERRORS)


def test_most_codes_are_shown_in_an_include_and_through_a_template():
    included = {code for file, _, code, _ in golden() if file not in ("workflow.yml", "hcrc")}
    filled = {code for *_, code, block in golden() if "note: in expansion of {" in block}
    assert len(included) >= 60
    assert len(filled) >= 60


def test_the_register_is_sorted_and_its_names_are_short():
    for codes in (ERRORS, WARNINGS):
        assert list(codes) == sorted(codes)
        assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in codes)
        assert all(len(code) <= 24 for code in codes)
        assert all(len(text) <= 72 and not text.endswith(".") for text in codes.values())
    assert len(CODES) == len(ERRORS) + len(WARNINGS) >= 60


def test_groups_of_codes_are_of_the_register():
    assert set().union(MISSING, NOT_FOLLOWING, PLACEHOLDERS, UNREAD, WRONG_TYPES) <= set(CODES)


BASE = """\
hcrc: 1
name: example
datasets:
  Data: {samples: [{sample: data, label: data, years: [UL18], files: [data.root]}]}
  Signal: {samples: [{sample: ZZ4b, label: ZZ, years: [UL18], files: [ZZ4b.root]}]}
classifiers:
  SvB: {classes: [data, ZZ]}
tasks:
  cache: {task: cache, datasets: [Data, Signal]}
  train: {task: train, dataset: cache, classifier: SvB}
"""
LONG = {"LONG": "9" * 2000, "DEEP": "[" * 100 + "]" * 100}


def blocks(text, indent):
    """Parts of a text that begin at an indentation, by their keys."""
    parts = re.split(rf"^(?=[ ]{{{indent}}}[\w.]+:)", text, flags=re.MULTILINE)
    return {part.split(":")[0].strip(): part for part in parts if part.strip()}


def join(text):
    """A workflow in which the parts of an example replace those of the base."""
    if text.startswith("hcrc:"):
        return text
    whole = blocks(BASE, 0)
    for key, part in blocks(text, 0).items():
        head, _, body = whole.get(key, part).partition("\n")
        new = part.partition("\n")[2]
        if body and new:
            part = "".join([f"{head}\n", *(blocks(body, 2) | blocks(new, 2)).values()])
        whole[key] = part
    return "".join(whole.values())


def codes_of(example, folder, monkeypatch, capsys):
    """What checking an example says: exit code, and the codes of the messages."""
    for name, text in LONG.items():
        example = example.replace(name, text)
    command = re.match(r"# hcrc (.*)\n", example)
    words = shlex.split(command[1]) if command else ["check", "workflow.yml"]
    example = example[command.end() :] if command else example
    first, *rest = re.split(r"^# (\S+\.yml)( in Latin-1)?\n", example, flags=re.MULTILINE)
    (folder / "workflow.yml").write_text(join(first))
    for name, encoding, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        (folder / name).write_bytes(text.encode("latin-1" if encoding else "utf-8"))
    monkeypatch.chdir(folder)
    code = main([*words, "--format", "json"])
    return code, {item["code"] for item in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize("code", CODES)
def test_examples_of_an_explanation_are_wrong_and_right(code, tmp_path, monkeypatch, capsys):
    explanation = read_explanations()[code]
    assert list(explanation) == ["text", "wrong", "right"]
    wrong, right = tmp_path / "wrong", tmp_path / "right"
    wrong.mkdir()
    right.mkdir()
    exit_code, found = codes_of(explanation["wrong"], wrong, monkeypatch, capsys)
    assert code in found
    assert exit_code == (code in ERRORS)
    assert codes_of(explanation["right"], right, monkeypatch, capsys) == (0, set())


def test_explanations_are_those_of_the_register_in_order():
    assert list(read_explanations()) == sorted(CODES)


def test_explain_lists_all_codes_in_a_line_each(capsys):
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(CODES)
    assert {line.split()[0] for line in lines if "  warning  " in line} == set(WARNINGS)


def test_explain_shows_a_paragraph_and_examples(capsys):
    assert main(["explain", "no-value", "unused-class"]) == 0
    assert capsys.readouterr().out == (
        "error[no-value]: a key has no value\n\n"
        "The key has no value, or null. Where the default is meant, leave the key out; in a use\n"
        "with overrides, null removes a key.\n\n"
        "Wrong:\n\n"
        "    tasks:\n"
        "      train: {task: train, dataset: cache, classifier: SvB, seed: }\n\n"
        "Right:\n\n"
        "    tasks:\n"
        "      train: {task: train, dataset: cache, classifier: SvB}\n\n"
        "warning[unused-class]: a class of the classifier has no events in the dataset\n\n"
        "No event of the training's dataset has the label of this class, so that the network\n"
        "learns nothing of it.\n\n"
        "Wrong:\n\n"
        "    classifiers:\n"
        "      SvB: {classes: [data, ZZ, ttbar]}\n\n"
        "Right:\n\n"
        "    classifiers:\n"
        "      SvB: {classes: [data, ZZ]}\n"
    )


def test_explain_names_the_nearest_code(capsys):
    assert main(["explain", "unkown-key"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        'hcrc: error: there is no code "unkown-key": did you mean "unknown-key"?\n'
    )
    assert main(["explain", "zzz", "no-value"]) == 2
    assert capsys.readouterr().err.endswith("hcrc explain lists them\n")


def test_checking_a_right_workflow_reads_no_explanation(tmp_path):
    """Nor does it import jsonschema, which only has to say what is wrong."""
    (tmp_path / "workflow.yml").write_text(BASE)
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, given: opened.append(str(given[0])) "
        "if event == 'open' else None)\n"
        "from hcrc.compiler.cli import main\n"
        "code = main(['check', 'workflow.yml'])\n"
        "assert not any('explanations' in name for name in opened)\n"
        "assert not {'jsonschema', 'hcrc.compiler.commands.explain'} & set(sys.modules)\n"
        "sys.exit(code)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
