"""What is told of a run on HTCondor from its files, and what is asked of HTCondor.

HTCondor's commands are scripts here; tests/cluster has a real pool.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hcrc.compiler.cli import main as compiler
from hcrc.runtime.batch.joblog import read_log
from hcrc.runtime.batch.nodes import Nodes, State
from hcrc.runtime.commands import main
from hcrc.runtime.errors import StorageError

WORKFLOW = """\
hcrc: 1
name: small
tasks:
  first:
    task: command
    for: {number: 0-2}
    command: [sh, -c, "echo {number} >$0", "{done}"]
    outputs: {done: done.txt}
  last:
    task: command
    inputs: {all: {all: first}}
    command: [wc, "{all}"]
"""
SUBMIT = """\
#!/bin/sh
echo "$@" >"$FAKE/submit.txt"
env | grep ^HCRC_ >>"$FAKE/submit.txt"
cat >workflow.dag.dagman.log <<END
000 (012.000.000) 2026-01-31 12:00:00 Job submitted from host: <127.0.0.1:1>
...
001 (012.000.000) 2026-01-31 12:00:01 Job executing on host: <127.0.0.1:1>
...
END
echo "Submitting job(s)."
echo "1 job(s) submitted to cluster 12."
"""
REMOVE = '#!/bin/sh\necho "$@" >"$FAKE/remove.txt"\n'
QUEUE = """#!/bin/sh
echo '[{"ClusterId": 12}, {"ClusterId": 13}, {"ClusterId": 14}]'
"""
HEAD = "{kind:03} ({cluster:03}.000.000) 2026-01-31 12:{minute:02}:00 "


def event(kind, cluster, said="", minute=0, node=None):
    lines = [HEAD.format(kind=kind, cluster=cluster, minute=minute) + f"{said}"]
    lines += [f"    DAG Node: {node}"] if node is not None else []
    return "\n".join([*lines, "...", ""])


def started(cluster, node, minute=0):
    return event(0, cluster, "Job submitted", minute, node) + event(1, cluster, "Job", minute + 1)


def ended(cluster, node, code, post, minute=5):
    terminated = f"Job terminated.\n\t(1) Normal termination (return value {code})"
    after = f"POST Script terminated.\n\t(1) Normal termination (return value {post})"
    return event(5, cluster, terminated, minute) + event(16, cluster, after, minute, node)


@pytest.fixture
def bundle(tmp_path, monkeypatch, capsys):
    """A bundle of four jobs, where HTCondor's commands are scripts."""
    monkeypatch.chdir(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    scripts = {"condor_submit_dag": SUBMIT, "condor_rm": REMOVE, "condor_q": QUEUE}
    for name, text in scripts.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.delenv("HCRC_PYTHON", raising=False)
    Path("small.yml").write_text(WORKFLOW)
    assert compiler(["compile", "small.yml"]) == 0
    return tmp_path / capsys.readouterr().out.strip()


def call(capsys, *words):
    code = main([*map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def write(bundle, text, name="nodes"):
    with (bundle / "run" / "condor" / f"workflow.dag.{name}.log").open("a") as log:
        log.write(text)


def finish(bundle):
    said = "Job terminated.\n\t(1) Normal termination (return value 1)"
    write(bundle, event(5, 12, said), "dagman")


def status(capsys, bundle):
    code, out, _ = call(capsys, "status", bundle, "--format", "json")
    return code, json.loads(out)


def states(found):
    return [row["states"] for row in found["rows"]]


def tell(text, tmp_path):
    path = tmp_path / "log"
    path.write_text(text)
    nodes = Nodes()
    nodes.tell(read_log(path))
    return nodes


def test_an_event_has_its_kind_node_moment_code_and_reason(tmp_path):
    held = "Job was held.\n\tError from slot1@vm: memory usage exceeded\n\tCode 34 Subcode 102"
    text = started(7, 3) + event(12, 7, held, 2) + ended(8, 4, 65, 2, 3)
    text += event(5, 9, "Job terminated.\n\t(0) Abnormal termination (signal 9)")
    path = tmp_path / "log"
    path.write_text(text + "005 (010.000.000) 2026-01-31 12:00:00 Job term")
    events = list(read_log(path))
    assert [(each.kind, each.cluster) for each in events] == [
        (0, 7), (1, 7), (12, 7), (5, 8), (16, 8), (5, 9),
    ]  # fmt: skip
    assert [each.node for each in events] == [3, None, None, None, 4, None]
    assert events[2].hold == (34, "Error from slot1@vm: memory usage exceeded")
    assert [events[3].code, events[4].code, events[5].code] == [65, 2, -9]
    assert events[2].moment == time.mktime((2026, 1, 31, 12, 2, 0, 0, 0, -1))
    assert list(read_log(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (event(0, 1, "Job submitted", 0, 5), State.IDLE),
        (started(1, 5), State.RUNNING),
        (started(1, 5) + event(4, 1, "Job was evicted."), State.IDLE),
        (started(1, 5) + event(7, 1, "Shadow exception!"), State.IDLE),
        (started(1, 5) + event(12, 1, "Job was held.\n\tby me\n\tCode 1 Subcode 0"), State.HELD),
        (started(1, 5) + event(12, 1, "held") + event(13, 1, "released"), State.IDLE),
        (started(1, 5) + ended(1, 5, 0, 0), State.DONE),
        (started(1, 5) + ended(1, 5, 75, 1), State.RETRYING),
        (started(1, 5) + ended(1, 5, 75, 1) + started(2, 5, 6), State.RUNNING),
        (started(1, 5) + ended(1, 5, 65, 2), State.FAILED),
    ],
)
def test_the_state_of_a_node_is_that_of_its_last_event(tmp_path, text, state):
    assert tell(text, tmp_path).known[5].state is state


def test_when_dagman_is_gone_nothing_is_tried_again(tmp_path):
    text = started(1, 5) + ended(1, 5, 75, 1) + started(2, 6) + event(0, 3, "Job", 0, 7)
    nodes = tell(text, tmp_path)
    nodes.end()
    found = {number: node.state for number, node in nodes.known.items()}
    assert found == {5: State.FAILED, 6: State.REMOVED, 7: State.REMOVED}
    assert nodes.known[5].tries == 1


def test_a_submission_says_what_to_type_next_and_refuses_a_second(bundle, capsys, tmp_path):
    code, out, err = call(capsys, "submit", bundle, "--dry-run")
    assert (code, err) == (0, "")
    assert out == "4 jobs would be handed to DAGMan, 0 cells are up to date\n"
    assert not (bundle / "run" / "condor").exists()
    code, out, err = call(capsys, "submit", bundle)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "submitted  small: 4 jobs to DAGMan, cluster 12",
        f"hcrc status {bundle}",
        f"hcrc cancel {bundle}",
    ]
    said = (tmp_path / "submit.txt").read_text().splitlines()
    assert said[0] == "-batch-name hcrc small -include_env HCRC_SUBMIT_PYTHON workflow.dag"
    assert said[1].startswith("HCRC_SUBMIT_PYTHON=/")
    for command in ("submit", "run"):
        code, out, err = call(capsys, command, bundle)
        assert (code, out) == (1, "")
        assert err == (
            f"hcrc: error: {bundle}: DAGMan has it, cluster 12: hcrc status says how it goes, "
            "hcrc cancel ends it\n"
        )
    finish(bundle)
    code, out, _ = call(capsys, "submit", bundle)
    assert code == 0
    assert (bundle / "run" / "condor.1" / "submission.json").exists()


def test_what_is_up_to_date_is_left_alone(bundle, capsys):
    assert call(capsys, "run", bundle, "--only", "first", "--plain")[0] == 0
    assert call(capsys, "submit", bundle)[1].startswith("submitted  small: 1 job to DAGMan")
    rescue = (bundle / "run" / "condor" / "workflow.dag.rescue001").read_text()
    assert rescue == "# What is done by its results.\nDONE 0\nDONE 1\nDONE 2\n"
    finish(bundle)
    assert call(capsys, "run", bundle, "--plain")[0] == 0
    assert call(capsys, "submit", bundle)[1] == "nothing to do: all 4 cells are up to date\n"


def test_submitting_where_it_cannot_be_is_one_line(bundle, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    code, out, err = call(capsys, "submit", bundle)
    assert (code, out) == (1, "")
    assert err.startswith("hcrc: error: HTCondor is not on this machine: there is no condor_submit")
    assert call(capsys, "submit", bundle)[0] == 1
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}:/usr/bin:/bin")
    tool = tmp_path / "tools" / "condor_submit_dag"
    tool.write_text("#!/bin/sh\necho 'ERROR: no' >&2; exit 1\n")
    assert call(capsys, "submit", bundle)[2] == "hcrc: error: condor_submit_dag: ERROR: no\n"
    tool.write_text("#!/bin/sh\necho what\n")
    assert "does not name a cluster: what" in call(capsys, "submit", bundle)[2]


def test_a_bundle_that_was_edited_is_refused(bundle, capsys):
    path = bundle / "condor" / "first.sub"
    path.write_text(path.read_text() + "# mine\n")
    code, _, err = call(capsys, "submit", bundle)
    assert (code, err) == (1, f"hcrc: error: {path}: was edited: compile again\n")
    path.unlink()
    assert call(capsys, "submit", bundle)[2].endswith("No such file or directory: compile again\n")


def test_a_bundle_for_a_site_without_a_batch_system_is_refused(bundle, capsys):
    assert compiler(["compile", "small.yml", "--site", "server"]) == 0
    other = capsys.readouterr().out.strip()
    code, _, err = call(capsys, "submit", other)
    assert code == 1
    assert "was compiled for a site without HTCondor: hcrc run" in err


def test_the_status_counts_jobs_by_task_and_results_have_the_last_word(bundle, capsys):
    code, found = status(capsys, bundle)
    assert (code, found["state"], found["manager"]) == (3, "waiting", "not submitted")
    assert states(found) == [{"waiting": 3}, {"waiting": 1}]
    call(capsys, "submit", bundle)
    write(bundle, started(20, 0) + started(21, 1) + ended(21, 1, 0, 0) + started(22, 2))
    write(bundle, ended(22, 2, 69, 1) + started(23, 2, 7))
    code, found = status(capsys, bundle)
    assert (code, found["state"], found["cluster"]) == (3, "running", 12)
    # job 1 is done by the log, but left no result
    assert states(found) == [{"running": 2, "waiting": 1}, {"waiting": 1}]
    assert found["rows"][0]["retried"] == 1
    assert found["queue"] == "2 jobs in the queue"
    assert found["age_s"] > 0
    finish(bundle)
    assert call(capsys, "run", bundle, "--plain")[0] == 0
    code, found = status(capsys, bundle)
    assert (code, found["state"]) == (0, "done")
    assert states(found) == [{"done": 3}, {"done": 1}]


def test_the_status_says_how_far_what_runs_is(bundle, capsys):
    call(capsys, "submit", bundle)
    write(bundle, started(20, 0))
    events = bundle / "run" / "events" / "0.jsonl"
    rows = [
        {"event": "progress", "cell": "first", "step": "train fold 1", "done": 3, "total": 9},
        {"event": "metric", "cell": "first", "name": "validation loss", "value": 0.5},
    ]
    events.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"event": ')
    code, out, _ = call(capsys, "status", bundle)
    assert code == 3
    assert "      first: train fold 1 3/9, loss 0.5" in out.splitlines()


def test_what_is_held_or_failed_is_told_with_a_remedy(bundle, capsys):
    call(capsys, "submit", bundle)
    held = "Job was held.\n\tmemory usage exceeded\n\tCode 34 Subcode 102"
    write(bundle, started(20, 0) + event(12, 20, held) + started(21, 1) + ended(21, 1, 65, 2))
    log = bundle / "run" / "logs" / "1.21.log"
    log.write_text("hello\nhcrc: error: a.root: no such file\n")
    code, out, _ = call(capsys, "status", bundle)
    assert code == 3
    assert "held: first[number=0]: memory usage exceeded" in out
    assert "raise resources: {memory: …} of the task" in out
    assert "failed: first[number=1]: bad input data (65): a.root: no such file" in out or (
        "(65): a.root: no such file" in out
    )
    finish(bundle)
    code, found = status(capsys, bundle)
    assert (code, found["state"]) == (1, "failed")
    assert states(found)[0] == {"removed": 1, "failed": 1, "waiting": 1}


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(1, "condor_release"), (6, "a file system that the jobs see"), (12, "did not get back"),
     (13, "did not get there"), (21, "the pool's own rule"), (26, "the pool's own rule"),
     (34, "raise resources"), (99, "")],
)  # fmt: skip
def test_each_code_of_a_hold_has_its_remedy(bundle, capsys, code, remedy):
    call(capsys, "submit", bundle)
    write(bundle, started(20, 0) + event(12, 20, f"held\n\tso\n\tCode {code} Subcode 0"))
    (trouble,) = status(capsys, bundle)[1]["troubles"]
    assert trouble["reason"] == "so"
    assert remedy in trouble["remedy"]
    assert bool(remedy) == bool(trouble["remedy"])


def test_a_schedd_that_does_not_answer_leaves_the_status(bundle, capsys, tmp_path):
    call(capsys, "submit", bundle)
    write(bundle, started(20, 0))
    (tmp_path / "tools" / "condor_q").write_text("#!/bin/sh\necho down >&2; exit 1\n")
    code, out, _ = call(capsys, "status", bundle)
    assert code == 3
    assert "the schedd does not answer: condor_q: down" in out
    assert "1 running" in out
    (tmp_path / "tools" / "condor_q").write_text("#!/bin/sh\necho '[]'\n")
    assert "DAGMan is not in the queue" in call(capsys, "status", bundle)[1]


def test_a_dagman_that_is_gone_without_a_word_blocks_nothing(bundle, capsys, tmp_path):
    call(capsys, "submit", bundle)
    (tmp_path / "tools" / "condor_q").write_text("#!/bin/sh\nexit 1\n")
    assert call(capsys, "submit", bundle)[0] == 1
    (tmp_path / "tools" / "condor_q").write_text("#!/bin/sh\necho '[]'\n")
    assert call(capsys, "submit", bundle)[0] == 0


def test_results_that_cannot_be_read_leave_the_logs(bundle, capsys, monkeypatch):
    call(capsys, "submit", bundle)
    write(bundle, started(20, 0) + started(21, 1) + ended(21, 1, 0, 0))

    def fail(*words):
        raise StorageError("root://host//store: Connection error")

    monkeypatch.setattr("hcrc.runtime.batch.status.decide", fail)
    code, found = status(capsys, bundle)
    assert (code, found["state"]) == (3, "running")
    assert states(found) == [{"running": 1, "done": 1, "waiting": 1}, {"waiting": 1}]
    assert found["troubles"][0]["reason"] == "root://host//store: Connection error"


def test_logs_are_those_of_the_last_try(bundle, capsys):
    assert "has no log" in call(capsys, "logs", bundle, "0")[2]
    call(capsys, "submit", bundle)
    for number, cluster in ((0, 20), (0, 21), (1, 22)):
        log = bundle / "run" / "logs" / f"{number}.{cluster}.log"
        log.write_text(f"cluster {cluster}\n")
    os.utime(bundle / "run" / "logs" / "0.20.log", (1, 1))
    code, out, err = call(capsys, "logs", bundle, "first[number=0]")
    assert (code, out) == (0, "cluster 21\n")
    assert err == f"{bundle / 'run' / 'logs' / '0.21.log'}:\n"
    assert "there is no job or cell 'none'" in call(capsys, "logs", bundle, "none")[2]


def test_a_run_or_a_job_of_it_is_cancelled(bundle, capsys, tmp_path):
    assert "was not submitted" in call(capsys, "cancel", bundle)[2]
    call(capsys, "submit", bundle)
    assert call(capsys, "cancel", bundle, "1")[0] == 0
    said = (tmp_path / "remove.txt").read_text()
    assert said == '-constraint DAGManJobId == 12 && DAGNodeName == "1"\n'
    code, out, _ = call(capsys, "cancel", bundle)
    assert code == 0
    assert "hcrc resume goes on where it stopped" in out
    assert (tmp_path / "remove.txt").read_text() == "-constraint ClusterId == 12\n"


def test_a_submission_that_is_none_is_said_so(bundle, capsys):
    call(capsys, "submit", bundle)
    path = bundle / "run" / "condor" / "submission.json"
    path.write_text("{}")
    assert call(capsys, "status", bundle)[2].startswith(f"hcrc: error: {path}: not a submission")


@pytest.mark.parametrize("command", ["status", "logs", "cancel", "resume"])
def test_the_commands_want_a_bundle(command, tmp_path, capsys):
    words = [command, str(tmp_path), *(["0"] if command == "logs" else [])]
    assert compiler(words) == 1
    assert "not a bundle" in capsys.readouterr().err
