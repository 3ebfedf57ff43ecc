"""The import of the older tool's files and command lines, and the proof that nothing was lost."""

import json
import os
import random
import shlex
import shutil
import string
from pathlib import Path

import pytest
from hcrc.compiler.cli import main
from hcrc.compiler.diagnostics import Source
from hcrc.compiler.files import Disk
from hcrc.compiler.legacy.back import read_back
from hcrc.compiler.legacy.compare import compare, render, same, summarize
from hcrc.compiler.legacy.convert import Converter
from hcrc.compiler.legacy.draft import Draft
from hcrc.compiler.legacy.expand import Expander
from hcrc.compiler.legacy.importing import Request, run_import
from hcrc.compiler.legacy.oracle import expand_again
from hcrc.compiler.legacy.symbols import Symbols
from hcrc.compiler.legacy.text import LegacyError, Text, fill, has_marks, split
from hcrc.compiler.legacy.write import write_workflow
from hcrc.compiler.parse import parse
from hypothesis import given
from hypothesis import strategies as st

CASES = Path(__file__).parent / "cases" / "legacy"
FOLDERS = sorted(folder for folder in CASES.iterdir() if folder.is_dir())
RESULTS = {"output.txt", "workflow.yml"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "someone")
    monkeypatch.delenv("SITE", raising=False)
    return tmp_path


def copy_inputs(folder, place):
    for path in folder.iterdir():
        if path.name not in RESULTS:
            shutil.copy(path, place)


def arguments(folder):
    return (folder / "arguments.txt").read_text().splitlines()


def golden(path, text):
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_case(folder, place, capsys):
    copy_inputs(folder, place)
    code = main(["import", *arguments(folder)])
    captured = capsys.readouterr()
    fails = folder.name.startswith("error-")
    assert code == fails
    assert " differs" not in captured.err
    golden(folder / "output.txt", captured.err)
    if fails:
        assert captured.out == ""
    else:
        golden(folder / "workflow.yml", captured.out)


@pytest.mark.parametrize(
    "folder", [each for each in FOLDERS if not each.name.startswith("error-")],
    ids=lambda folder: folder.name,
)  # fmt: skip
def test_definitions_that_ship_take_what_is_imported(folder, place, capsys, monkeypatch):
    copy_inputs(folder, place)
    main(["import", *arguments(folder)])
    (place / "imported.yml").write_text(capsys.readouterr().out)
    monkeypatch.setenv("SITE", "here")
    main(["check", "imported.yml", "--format", "json"])
    found = json.loads(capsys.readouterr().out or "[]")
    assert {item["code"] for item in found} & {"unknown-parameter", "unknown-key"} == set()


@pytest.mark.parametrize(
    "folder", [each for each in FOLDERS if not each.name.startswith("error-")],
    ids=lambda folder: folder.name,
)  # fmt: skip
def test_what_is_written_is_yaml_that_comes_back(folder, place):
    copy_inputs(folder, place)
    text, draft = converted(folder)
    document, problems = parse(text, "workflow.yml")
    assert problems == []
    assert document.root is not None
    rows, problems = compare(draft, text, place)
    assert problems == []
    assert len(rows) > 3
    assert {row.result for row in rows} <= {"same", "no counterpart", "ignored", "added"}


def expander():
    return Expander(Disk(), Path.cwd(), Symbols({"USER": "someone"}))


def converted(folder):
    """The workflow of a case, and the draft that it was written from."""
    words = arguments(folder)
    reader = expander()
    if "--line" in words:
        line = Path(words[0]).read_text().splitlines()[int(words[2]) - 1]
        reader.expand_command(Text.whole(Source("COMMAND", line)))
    elif " " in words[0]:
        reader.expand_command(Text.whole(Source("COMMAND", words[0])))
    else:
        reader.expand_files(words)
    draft = Draft(reader)
    Converter(draft, reader.expansion()).run()
    return write_workflow(draft, "imported", []), draft


def command(text):
    """The result of importing a command line."""
    request = Request((), Source("COMMAND", text), None, {"USER": "someone"}, Path.cwd())
    return run_import(request, Disk())


@pytest.mark.parametrize(
    ("written", "changed", "field"),
    [
        ("epochs: 12", "epochs: 13", "--training epoch"),
        ("features: 10", "features: 12", "--architecture n_features"),
        ("disable_benchmark: false", "disable_benchmark: true", "disable_benchmark"),
        ("disable_benchmark: false", "disable_benchmark: 0", "disable_benchmark"),
        ("fold_seed: FvT random", "fold_seed: random FvT", "--kfold-seed"),
        ('"./FvT/train/{tag}-train/"', '"./FvT/train/{tag}/"', "IO output"),
        ('default: "1-3"', 'default: "1-4"', "--kfold-seed-offsets"),
        ("HCR.FvT.baseline", "HCR.SvB.ggF.baseline", "module"),
        ("./cached/result.json", "./result.json", "--input"),
        ("    max_trainers: 2\n", "", "--max-trainers"),
        ("batch_eval: 100000", "batch_eval: 100000, batch_skim: 7", "batch_skim"),
    ],
)
def test_a_changed_workflow_differs(place, written, changed, field):
    copy_inputs(CASES / "run-2", place)
    text, draft = converted(CASES / "run-2")
    assert text.count(written) == 1
    rows, _ = compare(draft, text.replace(written, changed), place)
    wrong = [row.field for row in rows if row.result == "differs"]
    assert wrong
    assert field in wrong[0]
    assert "differs" in summarize(rows)
    assert render(rows).count("\n") == len(rows) + 1


def test_a_workflow_that_does_not_parse_is_said_so(place):
    assert [item.code for item in read_back("a: [", {}, {}, place)[1]] == ["syntax"]
    text = 'hcrc: 1\nname: a\nparameters:\n  n: {type: string}\ntasks: {a: {task: "{n}"}}\n'
    assert "missing-parameter" in [item.code for item in read_back(text, {}, {}, place)[1]]


def test_a_difference_is_an_error(place, capsys, monkeypatch):
    copy_inputs(CASES / "run-4", place)
    monkeypatch.setattr("hcrc.compiler.legacy.importing.write_workflow", tampered)
    assert main(["import", "run.txt", "--line", "4"]) == 1
    assert "  differs\n" in capsys.readouterr().err


def tampered(*arguments):
    return write_workflow(*arguments).replace("workers: 8", "workers: 9")


def test_the_old_expansion_is_the_older_tools(place):
    copy_inputs(CASES / "run-2", place)
    _, draft = converted(CASES / "run-2")
    modules = expand_again(draft.expander)
    assert [tuple(each) for each in modules[:2]] == [
        ("main", "train", shlex.split("--max-loaders 4 --max-trainers 2 --device cuda")),
        ("setting", "IO", ['json:##{"output": "./FvT/train/offset1-{main}/"}']),
    ]
    (model,) = [each for each in modules if each.category == "model"]
    assert model.words[:6] == shlex.split("--kfolds 3 --kfold-seed FvT random --kfold-seed-offsets")
    assert model.words[6:9] == ["1-3", "--architecture", 'json:##{"n_features": 10}']


def test_writing_a_file(place, capsys):
    copy_inputs(CASES / "run-4", place)
    words = ["import", "run.txt", "--line", "4", "-o", "merge.yml", "--name", "FvT"]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.endswith("\n6 same\n")
    assert Path("merge.yml").read_text().startswith("hcrc: 1\nname: FvT\ntasks:\n")
    assert main(words) == 1
    assert "merge.yml is there already" in capsys.readouterr().err


def test_strict_and_formats(place, capsys):
    copy_inputs(CASES / "file-evaluate_svb", place)
    assert main(["import", "evaluate_svb.yml", "--strict"]) == 1
    assert capsys.readouterr().out == ""
    assert main(["import", "evaluate_svb.yml", "--format", "github"]) == 0
    assert "::warning file=evaluate_svb.yml,line=15," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.yml", "cache -dataset cache"], "import files, or one command line, not both"),
        (["run.txt"], "run.txt: a workflow ends with .yml"),
        (["run.txt", "--line", "9"], "run.txt has no command in line 9"),
        (["run.txt", "--line", "0"], "run.txt has no command in line 0"),
    ],
)
def test_usage(place, capsys, words, message):
    copy_inputs(CASES / "run-4", place)
    assert main(["import", *words]) == 2
    assert message in capsys.readouterr().err


def test_variables_of_the_shell(place):
    """``${USER}`` is a default, in single quotes it is a text, and quotes hold blanks."""
    line = "analyze $USER/a.json '$USER/b.json' \"c d.json\" -analysis kfold.Merge"
    found = command(line)
    assert '  user: {type: string, default: "{env:USER}"}' in found.text
    assert 'predictions: ["{user}/a.json", "$USER/b.json", c d.json]' in found.text
    assert {row.result for row in found.rows} == {"same"}


def test_two_templates_with_different_values_are_two_parameters(place):
    for name in ("a", "b"):
        Path(f"{name}.yml").write_text(
            "main:\n  module: analyze\n  option: ['{x}.json']\n"
            "analysis:\n  - {{module: kfold.Merge, option: [--name {x}]}}\n"
        )
    found = command('template "{x: one}" a.yml -template "{x: two}" b.yml')
    assert "  x:   {type: string, default: one}\n  x_2: {type: string, default: two}" in found.text
    assert "differs" not in {row.result for row in found.rows}


def test_nothing_is_executed_or_fetched(place):
    found = command('train -dataset cache --input a.json -model HCR.FvT.baseline.Train '
                    '--architecture "py:##os.system" -setting IO "py:##os.abort"')  # fmt: skip
    assert [item.code for item in found.diagnostics].count("not-executed") == 2
    found = command("from root://host//a.yml")
    assert [item.code for item in found.diagnostics] == ["unreadable-file"]


def test_bombs_are_refused(place):
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)
    ]
    texts = {
        "alias-bomb": "\n".join(lines),
        "alias-cycle": "a: &a [*a]",
        "too-deep": "a: " + "[" * 70,
        "merge-key": "a: &a {x: 1}\nb: {<<: [*a, *a]}",
        "complex-key": "? [a]\n: b",
        "yaml-tag": "a: !!set {b}",
        "syntax": "a: !!python/object:os.system {}",
        "bad-character": "a: \ue000",
    }
    for code, text in texts.items():
        Path("old.yml").write_text(text)
        found = command("from old.yml")
        expected = {"yaml-tag"} if code == "syntax" else {code}
        assert {item.code for item in found.diagnostics} == expected, code


BLANK = st.sampled_from(["a", "b-c", " ", "\t", "\n", '"', "'", "\\", "#", "$", "{", "é"])


@given(st.lists(BLANK, max_size=12).map("".join))
def test_words_are_those_of_shlex(text):
    source = Source("text", text)
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(LegacyError) as caught:
            split(Text.whole(source))
        assert caught.value.diagnostic.code == "legacy-words"
        return
    assert [word.text.chars for word in split(Text.whole(source))] == expected


@given(st.lists(st.sampled_from(["{", "}", "{a}", "{b:3}", "{a!r}", "x", "{{", ":", "[0]", "\n"]),
                max_size=9).map("".join))  # fmt: skip
def test_templates_are_those_of_str_format(text):
    values = {"a": "1-3", "b": 7}
    source = Text.whole(Source("text", text))
    try:
        filled = fill(source, lambda key, spec, _: format(values[key], spec))
    except (LegacyError, KeyError, ValueError):
        return
    assert filled.chars == text.format(**values)
    assert len(filled.at) == len(filled.chars) + 1


@given(st.text(max_size=8))
def test_text_without_marks_has_none(text):
    assert has_marks(text) == any("\ue000" <= each <= "\uf8ff" for each in text)


def test_values_are_compared_with_their_types():
    assert same({"a": [1, "b"]}, {"a": [1.0, "b"]})
    assert not same(True, 1)
    assert not same([1], [1, 2])
    assert not same({"a": 1}, {"b": 1})


def mutate(text, draw):
    """A text with a few characters or lines changed."""
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(text) + 1)
        choice = draw.randrange(5)
        if choice == 0:
            text = (
                text[:at] + draw.choice("{}[]:#-'\"&*!|>%@`$\\,=~ \t\n\x00\ue000é0e9") + text[at:]
            )
        elif choice == 1:
            text = text[:at] + text[at + draw.randint(1, 9) :]
        elif choice == 2:
            lines = text.split("\n")
            draw.shuffle(lines)
            text = "\n".join(lines)
        elif choice == 3:
            piece = text[at : at + draw.randint(1, 30)]
            text = text[:at] + piece + text[at:]
        else:
            text = text[:at] + draw.choice(string.ascii_letters + "0123456789") + text[at + 1 :]
    return text


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_wrong_is_said_at_its_place(place, seed):
    draw = random.Random(seed)
    for folder in FOLDERS:
        copy_inputs(folder, place)
        for _ in range(12):
            words = mutated_inputs(folder, place, draw)
            request = Request(tuple(words), None, None, {"USER": "someone"}, place)
            if " " in words[0]:
                request = request._replace(command=Source("COMMAND", words[0]))
            check_findings(run_import(request, Disk()))


def mutated_inputs(folder, place, draw):
    """The arguments of a case, after one of its files or themselves changed."""
    words = arguments(folder)
    if "--line" in words:
        words = [Path(place / words[0]).read_text().splitlines()[int(words[2]) - 1]]
    files = [path for path in folder.iterdir() if path.suffix in (".yml", ".json", ".csv")]
    files = [path for path in files if path.name not in RESULTS]
    if files and draw.random() < 0.7:
        path = draw.choice(files)
        (place / path.name).write_text(mutate(path.read_text(), draw))
    elif " " in words[0]:
        words = [mutate(words[0], draw).replace("\n", " ")]
    return words


def check_findings(found):
    for item in found.diagnostics:
        assert item.message
        if item.span is not None:
            assert 1 <= item.span.line <= len(item.span.source.lines)
            assert item.span.column >= 1
    if found.text is None:
        assert found.diagnostics
    else:
        assert {row.result for row in found.rows} & {"differs"} == set()


def test_types_of_parameters_follow_their_uses(place):
    """One template key in texts, with a format, as a number, as a range and as a boolean."""
    Path("a.yml").write_text(
        "main: {{module: train}}\n"
        "model:\n  - module: HCR.FvT.baseline.Train\n    option:\n"
        "      - --kfolds {k}\n      - --kfold-seed-offsets {o}\n"
        "      - --architecture\n      - attention: {b}\n        n_features: {k}\n"
        "dataset:\n  - {{module: cache, option: [--input, 'a-{k:03d}-{b}-{s}-{n:.1f}']}}\n"
        "setting:\n  - {{module: IO, option: [output: 'o {o}']}}\n"
    )
    found = command('template "{k: 4, o: 0-1 3, b: yes, s: 007, n: 0.25}" a.yml')
    declared = found.text.partition("parameters:\n")[2].partition("include:")[0]
    declared = declared.partition("tasks:")[0]
    assert sorted(declared.splitlines()) == [
        "  b: {type: string, default: \"True\"}",
        "  k: {type: integer, default: 4}",
        "  n: {type: number, default: 0.25}",
        "  o: {type: range, default: 0-1 3}",
        "  s: {type: string, default: \"7\"}",
    ]  # fmt: skip
    assert 'dataset: "a-{k:03d}-{b}-{s}-{n:.1f}"' in found.text
    assert 'IO: {output: "o {o}"}' in found.text
    assert "attention: true" in found.text
    assert "differs" not in {row.result for row in found.rows}
    assert [item.code for item in found.diagnostics].count("template-written-out") == 1


def test_a_key_of_a_file_is_a_workflow_too(place):
    """FILE@@KEY, in JSON, whose numbers are JSON's; and files that name others beside them."""
    Path("sub").mkdir()
    Path("sub/all.json").write_text(
        '{"old": [{"main": {"module": "train"}, "model": [{"module": "HCR.FvT.baseline.Train",'
        ' "option": ["--training AutoStep file:##rates.yml@@fast", "--finetuning FinetuneStep",'
        ' {"lr_init": 1e-3, "epoch": 2}]}]}]}'
    )
    Path("sub/rates.yml").write_text("fast: {lr_init: 1.0e-2, lr_scale: 0.5}\n")
    found = command("from sub/all.json@@old.0 -dataset cache --input a/result.json")
    assert "training: {schedule: AutoStep, learning_rate: 0.01, learning_rate_scale: 0.5}" in (
        found.text
    )
    assert "finetuning: {schedule: FinetuneStep, learning_rate: 0.001, epochs: 2}" in found.text
    assert {row.result for row in found.rows} == {"same"}
    missing = command("from sub/all.json@@old.1 -dataset cache --input a/result.json")
    assert [item.code for item in missing.diagnostics] == ["unknown-list"]


def test_a_module_has_a_limit_of_words(place):
    Path("a.yml").write_text("main: {module: analyze, option: [" + "a.json, " * 10_001 + "]}\n")
    found = command("from a.yml -analysis kfold.Merge")
    assert [item.message for item in found.diagnostics] == [
        "analyze has 10,001 words: more than 10,000"
    ]


def test_keys_that_are_no_texts_are_those_of_json(place):
    Path("a.yml").write_text("setting: [{module: IO, option: [{null: 1, yes: 2, 3: 4}]}]\n")
    found = command("analyze a.json -analysis kfold.Merge -from a.yml -setting IO '{~: 5}'")
    assert [item.code for item in found.diagnostics] == ["no-counterpart"] * 3
    keys = {row.field: (row.old, row.result) for row in found.rows if "setting" in row.field}
    assert keys == {
        "setting IO null": (5, "no counterpart"),
        "setting IO true": (2, "no counterpart"),
        "setting IO 3": (4, "no counterpart"),
    }


def test_no_folds_are_no_training(place):
    found = command("train -dataset cache --input a.json -model HCR.FvT.baseline.Train "
                    "--kfold-offsets 3-5")  # fmt: skip
    assert [item.code for item in found.diagnostics] == ["legacy-ignored", "legacy-options"]
    assert found.text is None


def test_the_naming_of_files_keeps_its_braces(place):
    found = command('analyze a.json -analysis kfold.Merge --naming "{name}_{start}.root"')
    assert 'naming: "{{name}}_{{start}}.root"' in found.text
    assert {row.result for row in found.rows} == {"same"}
