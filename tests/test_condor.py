"""What a bundle holds for HTCondor: a DAG of its jobs, how each is submitted and tried again."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from hcrc.compiler.cli import main

CODES = json.loads((Path(__file__).parents[1] / "schemas" / "exit-codes.json").read_text())
HOSTILE = 'it\'s "a" $(touch gone); `touch gone` $HOME \\ %(x)s é'
WORKFLOW = """\
hcrc: 1
name: case
datasets:
  Data: {samples: [{sample: data, label: data, years: [UL18], files: [data.root]},
                   {sample: t, label: ttbar, years: [UL18], files: [t.root]}]}
classifiers:
  SvB: {classes: [data, ttbar]}
tasks:
  cache: {task: cache, datasets: [Data], resources: RESOURCES}
  train: {task: train, dataset: cache, classifier: SvB, for: {offset: "0-4"}, group: GROUP}
  evaluate: {task: evaluate, models: train, datasets: [Data]}
  merge: {task: merge, predictions: evaluate, name: SvB}
"""
EDGE = re.compile(r"PARENT (\d+(?: \d+)*) CHILD (\d+(?: \d+)*)")


@pytest.fixture
def compiled(tmp_path, monkeypatch, capsys):
    """The bundle of the workflow, some of its texts replaced."""
    monkeypatch.chdir(tmp_path)

    def make(text=WORKFLOW, resources="{}", group=1):
        text = text.replace("RESOURCES", resources).replace("GROUP", str(group))
        (tmp_path / "workflow.yml").write_text(text)
        assert main(["compile", "workflow.yml"]) == 0
        return tmp_path / capsys.readouterr().out.strip()

    return make


def read_submission(text):
    """The keys of a submit description."""
    lines = [line for line in text.splitlines() if line != "queue" and not line.startswith("#")]
    return {key: value for key, _, value in (line.partition(" = ") for line in lines)}


@pytest.mark.parametrize("group", [1, 2, 5])
def test_what_runs_after_what_is_as_in_the_plan(compiled, group):
    two = WORKFLOW.replace('for: {offset: "0-4"}', 'for: {offset: "0-4", kfolds: [3, 5]}')
    for text in (WORKFLOW, two):
        bundle = compiled(text, group=group)
        jobs = [json.loads(line) for line in (bundle / "jobs.jsonl").read_text().splitlines()]
        lines = (bundle / "condor" / "workflow.dag").read_text().splitlines()
        edges = [EDGE.fullmatch(line) for line in lines if line.startswith("PARENT")]
        pairs = [
            (int(parent), int(child))
            for edge in edges
            for child in edge[2].split()
            for parent in edge[1].split()
        ]
        assert sorted(pairs) == sorted(
            (need, job["number"]) for job in jobs for need in job["needs"]
        )
        nodes = [line.split()[1:] for line in lines if line.startswith("JOB")]
        assert nodes == [[str(job["number"]), f"../../condor/{job['name']}.sub"] for job in jobs]
        assert [line for line in lines if line.startswith("VARS")] == [
            'VARS ALL_NODES index="$(JOB)"'
        ]


def test_many_that_need_the_same_are_one_line(compiled):
    dag = (compiled() / "condor" / "workflow.dag").read_text()
    assert "\nPARENT 0 CHILD 1 2 3 4 5\n" in dag
    assert "\nPARENT 6 7 8 9 10 CHILD 11\n" in dag


def test_resources_are_asked_for_and_no_others(compiled):
    wanted = "{cpus: 2, memory: 3 GB, disk: 4 GB, gpus: 1, walltime: 1.5 h}"
    folder = compiled(resources=wanted) / "condor"
    keys = read_submission((folder / "cache.sub").read_text())
    asked = {key: value for key, value in keys.items() if key.startswith("request_")}
    assert asked == {
        "request_cpus": "2",
        "request_memory": "3000M",
        "request_disk": "4000M",
        "request_gpus": "1",
    }
    assert "JobStatus == 2 && time() - JobCurrentStartDate > 5400" in keys["periodic_remove"]
    plain = read_submission((folder / "merge.sub").read_text())
    assert {key for key in plain if key.startswith("request_")} == {
        "request_cpus",
        "request_memory",
    }
    assert "JobCurrentStartDate" not in plain["periodic_remove"]
    assert "requirements" not in keys.keys() | plain.keys()


def test_what_jobs_ask_for_changes_no_hash_of_theirs(compiled):
    first, second = compiled(resources="{memory: 1 GB}"), compiled(resources="{memory: 2 GB}")
    hashes = [
        re.findall(r'"hash":"(\w+)"', (bundle / "jobs.jsonl").read_text())
        for bundle in (first, second)
    ]
    assert hashes[0] == hashes[1]
    assert first != second


@pytest.mark.parametrize("name", ["cache", "train", "evaluate", "merge"])
def test_the_parser_of_htcondor_reads_what_was_meant(compiled, name):
    htcondor2 = pytest.importorskip("htcondor2", reason="htcondor is not installed")
    text = (
        compiled(resources="{gpus: 1, disk: 1 GB, walltime: 1 h}") / "condor" / f"{name}.sub"
    ).read_text()
    submit = htcondor2.Submit(text)
    assert dict(submit) == read_submission(text)
    submit["index"] = "12"
    assert submit.expand("arguments") == "12"
    assert re.fullmatch(r"\.\./logs/12\.\d+\.log", submit.expand("output"))


def test_what_is_tried_again_follows_the_table_of_exit_codes(compiled):
    post = compiled() / "condor" / "post.sh"
    for code in (*range(128), -9, -15, -1001, -1002, -1004):
        expected = 1 if CODES.get(str(code), {"retry": False})["retry"] else min(abs(code), 1) * 2
        assert subprocess.run([post, str(code)], check=False).returncode == expected, code


@pytest.mark.parametrize("name", ["plain", HOSTILE])
def test_the_wrapper_starts_the_job_and_hands_on_its_exit_code(compiled, tmp_path, name):
    place = tmp_path / name
    compiled().rename(place)
    (place / "run" / "condor").mkdir(parents=True)
    python = tmp_path / f"python {name}"
    python.write_text('#!/bin/sh\nprintf "%s\\0" "$@" >"$ARGUMENTS"\nexit 75\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["../../condor/job.sh", "7"],
        cwd=place / "run" / "condor",
        env={
            "PATH": "/usr/bin:/bin",
            "HCRC_PYTHON": str(python),
            "ARGUMENTS": str(tmp_path / "seen"),
        },
        check=False,
    )
    assert done.returncode == 75
    seen = (tmp_path / "seen").read_text().split("\0")[:-1]
    jobs, events = place / "jobs.jsonl", place / "run" / "events" / "7.jsonl"
    assert seen == [f"{place}/hcrc.pyz", "job", str(jobs), "7", "--events", str(events)]
    assert events.parent.is_dir()
    assert not list(tmp_path.rglob("gone"))
