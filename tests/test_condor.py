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

    def make(text=WORKFLOW, resources="{}", group=1, site="generic"):
        text = text.replace("RESOURCES", resources).replace("GROUP", str(group))
        (tmp_path / "workflow.yml").write_text(text)
        assert main(["compile", "workflow.yml", "--site", site]) == 0
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


SITE = """\
hcrc: 1
name: here
python: "/opt/it's {py}/bin/python"
environment: {GREETING: 'it''s "a" $(touch gone) $$(Name) \\', COUNT: 3, "ON": true}
submit:
  requirements: TARGET.HasCVMFS && regexp("^a$", TARGET.Name)
  +Note: 'say "a" $(b) \\'
  MY.Wanted: true
  rank: 'Memory \\'
gpus: {minimum_capability: 7.5, minimum_memory: 10 GB}
throttle: 40
priority: -5
retries: 7
"""


@pytest.fixture
def submission(compiled, tmp_path):
    """The submit description of a site's jobs, as the parser of HTCondor reads it."""
    htcondor2 = pytest.importorskip("htcondor2", reason="htcondor is not installed")

    def make(site, resources="{}"):
        (tmp_path / "site.yml").write_text(site)
        folder = compiled(resources=resources, site="site.yml") / "condor"
        return htcondor2.Submit((folder / "cache.sub").read_text())

    return make


def test_what_a_site_says_reaches_its_jobs_as_written(compiled, submission):
    submit = submission(SITE, "{gpus: 1}")
    greeting = "it''s \"\"a\"\" $'('touch gone) $$(DOLLARDOLLAR)'('Name) \\"
    written = f"\"GREETING='{greeting}' COUNT='3' ON='true'\""
    assert submit.expand("environment") == written
    assert submit.expand("requirements") == 'TARGET.HasCVMFS && regexp("^a$", TARGET.Name)'
    assert submit.expand("MY.Note") == '"say \\"a\\" $(b) \\"'
    assert submit.expand("MY.Wanted") == "true"
    assert submit.expand("rank") == "Memory \\"
    assert submit.expand("gpus_minimum_capability") == "7.5"
    assert submit.expand("gpus_minimum_memory") == "10000M"


def test_gpus_are_chosen_only_for_jobs_that_ask_for_some(submission):
    assert not [key for key in submission(SITE) if "gpus" in key]


def test_a_site_says_how_many_jobs_at_a_time_how_urgent_and_how_often(compiled, tmp_path):
    (tmp_path / "site.yml").write_text(SITE)
    head = (compiled(site="site.yml") / "condor" / "workflow.dag").read_text().splitlines()[:8]
    assert head[3:7] == [
        "RETRY ALL_NODES 7 UNLESS-EXIT 2",
        "CATEGORY ALL_NODES here",
        "MAXJOBS here 40",
        "PRIORITY ALL_NODES -5",
    ]


@pytest.mark.parametrize(
    ("container", "wanted"),
    [
        ("{kind: apptainer, image: /cvmfs/image}",
         {"universe": "container", "container_image": "/cvmfs/image",
          "transfer_container": "false"}),
        ("{kind: apptainer, image: 'docker://a/b:1'}",
         {"universe": "container", "container_image": "docker://a/b:1"}),
        ("{kind: docker, image: 'a/b:1'}", {"universe": "docker", "docker_image": "a/b:1"}),
        ("{kind: apptainer, image: '/a $(b)', attribute: SingularityImage}",
         {"universe": "vanilla", "MY.SingularityImage": '"/a $(b)"'}),
    ],
)  # fmt: skip
def test_a_container_is_asked_for_as_its_site_does(submission, container, wanted):
    submit = submission(f"{{hcrc: 1, name: here, container: {container}}}")
    names = ("universe", "container_image", "docker_image", "transfer_container")
    found = {key: submit.expand(key) for key in submit if key in (*names, "MY.SingularityImage")}
    assert found == wanted


@pytest.mark.parametrize(
    ("walltime", "flavour"),
    [("1 s", "espresso"), ("20 min", "espresso"), ("1201 s", "microcentury"),
     ("1 h", "microcentury"), ("90 min", "longlunch"), ("8 h", "workday"), ("481 min", "tomorrow"),
     ("2 d", "testmatch"), ("7 d", "nextweek")],
)  # fmt: skip
def test_a_flavour_is_the_shortest_that_fits(submission, walltime, flavour):
    site = "{hcrc: 1, name: here, walltime: flavour}"
    submit = submission(site, f"{{walltime: {walltime}}}")
    assert submit.expand("MY.JobFlavour") == f'"{flavour}"'
    assert "time()" not in submit.expand("periodic_remove")
    assert "MY.JobFlavour" not in submission(site)


def test_the_longest_time_is_given_in_whole_seconds(submission):
    site = "{hcrc: 1, name: here, walltime: max_runtime}"
    assert submission(site, "{walltime: 90.5 s}").expand("MY.MaxRuntime") == "91"


GROWING = "{hcrc: 1, name: here, memory: {growth: 2, cap: 7 GB}}"


def job_ad(submit, **attributes):
    """What a job's own expressions are, beside what HTCondor says of it."""
    classad2 = pytest.importorskip("classad2")
    holds = classad2.ClassAd(attributes.pop("holds", {}))
    ad = classad2.ClassAd({"ExitBySignal": False, "JobStatus": 5, **attributes})
    if len(holds):
        ad["NumHoldsByReason"] = holds
    keys = ("request_memory", "on_exit_hold", "periodic_release", "periodic_remove")
    for key in keys:
        ad[key] = classad2.ExprTree(submit.expand(key))
    return {key: ad.eval(key) for key in keys}


@pytest.mark.parametrize(
    ("holds", "memory"),
    [({}, 2000), ({"JobOutOfResources": 1}, 4000), ({"JobPolicy": 1}, 4000),
     ({"JobPolicy": 1, "JobOutOfResources": 1}, 7000), ({"JobOutOfResources": 9}, 7000),
     ({"UserRequest": 3, "HookPrepareJobFailure": 1}, 2000)],
)  # fmt: skip
def test_memory_grows_after_failures_for_want_of_it_and_no_others(submission, holds, memory):
    submit = submission(GROWING)
    assert job_ad(submit, holds=holds, HoldReasonCode=1)["request_memory"] == memory


def test_a_job_that_lacked_memory_is_released_until_more_is_not_to_be_had(submission):
    submit = submission(GROWING)
    for count in range(1, 5):
        ad = job_ad(submit, holds={"JobOutOfResources": count}, HoldReasonCode=34)
        assert (ad["periodic_release"], ad["periodic_remove"]) == (count < 3, count >= 3)
        ad = job_ad(submit, holds={"JobPolicy": count}, HoldReasonCode=3, HoldReasonSubCode=71)
        assert (ad["periodic_release"], ad["periodic_remove"]) == (count < 3, False)
    for code in (1, 3, 13, 26):
        ad = job_ad(submit, holds={"UserRequest": 1}, HoldReasonCode=code, HoldReasonSubCode=0)
        assert not ad["periodic_release"]
        assert not ad["periodic_remove"]


def test_only_the_exit_code_for_want_of_memory_holds_a_job(submission):
    submit = submission(GROWING)
    held = [code for code in range(256) if job_ad(submit, ExitCode=code)["on_exit_hold"]]
    assert [CODES[str(code)]["name"] for code in held] == ["out-of-memory"]
    assert not job_ad(submit, holds={"JobPolicy": 2}, ExitCode=71)["on_exit_hold"]


def test_what_asks_for_the_cap_already_does_not_grow(submission):
    submit = submission(GROWING, "{memory: 8 GB}")
    assert submit.expand("request_memory") == "8000M"
    assert "on_exit_hold" not in submit


def test_what_is_sourced_sees_no_arguments_and_may_fail(compiled, tmp_path):
    files = [tmp_path / 'it\'s a $(touch gone) "set up".sh', tmp_path / "second.sh"]
    files[0].write_text('false\nunset_variable=$NOT_SET\nGIVEN="$#"\n')
    files[1].write_text("export GIVEN\n")
    site = {
        "hcrc": 1,
        "name": "here",
        "source": list(map(str, files)),
        "python": str(tmp_path / "p y"),
    }
    (tmp_path / "site.yml").write_text(json.dumps(site))
    place = compiled(site="site.yml")
    (place / "run" / "condor").mkdir(parents=True)
    (tmp_path / "p y").write_text('#!/bin/sh\nprintf "%s\\n" "$GIVEN" "$4" "${NOT_SET:-}"\n')
    (tmp_path / "p y").chmod(0o755)

    def start():
        command = ["../../condor/job.sh", "7"]
        plain = {"PATH": "/usr/bin:/bin"}
        return subprocess.run(
            command, cwd=place / "run" / "condor", env=plain, capture_output=True, check=False
        )

    assert start().stdout == b"0\n7\n\n"
    files[1].unlink()
    assert CODES[str(start().returncode)]["name"] == "storage"
