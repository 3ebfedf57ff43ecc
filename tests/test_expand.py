"""What expand shows: all jobs or those that are asked for, to people and to programs."""

import json
from types import SimpleNamespace

import pytest
from hcrc.compiler.cli import main
from hcrc.compiler.commands.expand import Expanded, compile_glob
from hcrc.compiler.schema import load_schemas
from jsonschema import Draft202012Validator

WORDS = ["--param", "offset=0-2"]
IDS = ["cache", *(f"train[offset={n}]" for n in range(3)), "plot"]
IDS += [*(f"evaluate[offset={n}]" for n in range(3)), "merge"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expand(capsys, *words, code=0):
    assert main(["expand", *words]) == code
    return capsys.readouterr()


def shown_ids(text):
    return [line.partition(": ")[0] for line in text.splitlines() if line[0] != " "]


@pytest.mark.parametrize(
    ("globs", "ids"),
    [
        (["*"], IDS),
        (["train*"], IDS[1:4]),
        (["train"], IDS[1:4]),
        (["train[offset=2]"], IDS[3:4]),
        (["*offset=?]"], IDS[1:4] + IDS[5:8]),
        (["*[offset=1]"], [IDS[2], IDS[6]]),
        (["merge", "cache"], ["cache", "merge"]),
    ],
)
def test_globs_choose_jobs(capsys, globs, ids):
    words = [word for glob in globs for word in ("--jobs", glob)]
    assert shown_ids(expand(capsys, "demo", *WORDS, *words).out) == ids


def test_a_cell_finds_its_job(capsys, place):
    main(["init", "w.yml"])
    text = (place / "w.yml").read_text().replace("    kfolds: 3", "    group: 2\n    kfolds: 3")
    (place / "w.yml").write_text(text)
    capsys.readouterr()
    out = expand(capsys, "w.yml", *WORDS, "--jobs", "train[offset=1]").out
    assert shown_ids(out) == ["train[offset=0]~train[offset=1]"]
    assert "after cache" in out


def test_a_glob_that_chooses_nothing(capsys):
    captured = expand(capsys, "demo", "--jobs", "train*", "--jobs", "trian*", code=1)
    assert captured.out == ""
    assert (
        '--jobs:1:1: error[bad-argument]: no job, cell or task is called "trian*"' in captured.err
    )
    assert 'did you mean "train"?' in captured.err
    captured = expand(capsys, "demo", "--jobs", "x", "--format", "json", code=1)
    assert [item["code"] for item in json.loads(captured.out)] == ["bad-argument"]


def test_a_glob_may_choose_from_one_of_several_files(capsys, place):
    main(["init", "w.yml"])
    text = (place / "w.yml").read_text().replace("  plot:", "  draw:")
    (place / "w.yml").write_text(text)
    capsys.readouterr()
    out = expand(capsys, "demo", "w.yml", "--jobs", "draw", "--jobs", "cache").out
    assert shown_ids(out) == ["cache", "cache", "draw"]


def test_brackets_of_a_glob_are_those_of_ids():
    assert compile_glob("a[x=*]").fullmatch("a[x=12]")
    assert not compile_glob("a[x=?]").fullmatch("a[x=12]")
    assert not compile_glob("a[x=1]").fullmatch("ax")


def test_json_holds_the_jobs_as_they_are_run(capsys, place):
    assert main(["compile", "demo", "-o", "out", *WORDS]) == 0
    bundle = place / capsys.readouterr().out.strip()
    found = json.loads(expand(capsys, "demo", *WORDS, "--format", "json").out)
    assert list(found) == ["workflow", "parameters", "jobs", "tasks"]
    lines = (bundle / "jobs.jsonl").read_text().splitlines()
    assert found["jobs"] == [json.loads(line) for line in lines]
    plan = json.loads((bundle / "plan.json").read_text())
    assert found["tasks"] == plan["tasks"]
    assert (found["workflow"], found["parameters"]["offset"]) == ("demo", [0, 1, 2])
    schema = load_schemas()["job.schema.json"]
    assert [
        error for job in found["jobs"] for error in Draft202012Validator(schema).iter_errors(job)
    ] == []


def test_json_of_some_jobs_and_of_several_files(capsys):
    found = json.loads(expand(capsys, "demo", "--jobs", "merge", "--format", "json").out)
    assert [job["id"] for job in found["jobs"]] == ["merge"]
    out = expand(capsys, "demo", "starter", "--format", "json").out
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(out)
    second, _ = decoder.raw_decode(out[end:].lstrip())
    assert (first["workflow"], second["workflow"]) == ("demo", "starter")


def test_the_mapping_may_come_first(capsys):
    same = expand(capsys, "--template", "{offset: 0-2}", "demo").out
    assert expand(capsys, "{offset: 0-2}", "demo", "--as-template").out == same
    assert shown_ids(same) == IDS
    captured = expand(capsys, "{ofset: 0-2}", "demo", "--as-template", code=1)
    assert 'did you mean "offset"?' in captured.err
    several = expand(capsys, "{offset: 0-2}", "demo", "demo", "--as-template").out
    assert several == same * 2


@pytest.mark.parametrize("words", [["demo"], []])
def test_a_mapping_without_a_file(capsys, words):
    with pytest.raises(SystemExit) as end:
        main(["expand", *words, "--as-template"])
    assert end.value.code == 2
    assert "--as-template takes a mapping, then a workflow file" in capsys.readouterr().err


def test_what_a_job_needs_is_shown():
    execution = {"cpus": 2, "memory_mb": 10, "gpus": 1, "disk_mb": 5, "walltime_s": 60,
                 "environment": {"A": "b"}, "device": "auto"}  # fmt: skip
    job = SimpleNamespace(id="plot", number=0, name="plot", task="plot", needs=(), cells=(),
                          execution=execution)  # fmt: skip
    plan = SimpleNamespace(jobs=iter([job]))
    text = list(Expanded(plan, []).as_text())
    assert text == [
        "plot: plot, after nothing",
        "  resources: 2 cpus, 10 MB, 1 gpus, 5 MB of disk, 60 s",
        "  environment: A=b",
        "  settings: device auto",
        "  command: python hcrc.pyz job jobs.jsonl 0",
    ]
