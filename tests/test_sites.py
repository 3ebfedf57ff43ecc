"""Sites: their files, and how the command line takes them."""

import json
import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hcrc.compiler.cli import main
from hcrc.compiler.profile import Growth, Profile
from hcrc.compiler.schema import load_schemas
from hcrc.compiler.shipped import read_schema, sites_folder
from hcrc.compiler.sites import read_site, site_names
from hypothesis import given
from hypothesis import strategies as st

WORKFLOW = """\
hcrc: 1
name: case
datasets:
  Data: {samples: [{sample: data, label: data, years: [UL18], files: [data.root]}]}
tasks:
  cache: {task: cache, datasets: [Data], resources: {cpus: 2}}
"""


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "workflow.yml"
    path.write_text(WORKFLOW)
    return path


def test_sites_come_along():
    assert site_names() == ["generic", "lpc", "lxplus", "personal", "server"]


@pytest.mark.parametrize("name", site_names())
def test_sites_that_come_along_are_right_and_called_like_their_files(name, tmp_path):
    site, diagnostics = read_site(name, tmp_path)
    assert not diagnostics
    assert site.name == name
    assert site.help
    _, limits, rest = (sites_folder() / f"{name}.yml").read_text().partition("limits:")
    assert not limits or rest.count("https://") == len(site.limits), "say where a figure is from"


def test_the_longest_job_of_lxplus_takes_a_week(tmp_path):
    site, _ = read_site("lxplus", tmp_path)
    assert {key: node.value for key, node in site.limits.items()} == {"walltime": "7 d"}


@pytest.mark.parametrize("command", ["check", "expand", "compile", "run"])
def test_commands_that_compile_hold_resources_against_a_site(command, workflow, capsys):
    workflow.with_name("desk.yml").write_text("{hcrc: 1, name: desk, limits: {cpus: 1}}")
    assert command == "run" or main([command, "workflow.yml", "--site", "generic"]) == 0
    capsys.readouterr()
    assert main([command, "workflow.yml", "--site", "desk.yml", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)[-1]
    assert found["code"] == "beyond-site"
    assert found["notes"][0]["place"]["file"] == "desk.yml"


def test_without_a_site_jobs_are_for_any_pool(workflow, capsys):
    assert main(["compile", "workflow.yml", "-o", "out"]) == 0
    assert main(["compile", "workflow.yml", "-o", "out", "--site", "generic"]) == 0
    first, second = capsys.readouterr().out.split()
    assert first == second
    assert read_site("generic", workflow.parent)[0].profile == Profile()


@pytest.mark.parametrize("name", site_names())
def test_a_site_changes_no_job(name, workflow, capsys):
    assert main(["compile", "workflow.yml", "-o", "out"]) == 0
    assert main(["compile", "workflow.yml", "-o", "out", "--site", name]) == 0
    first, second = (Path(line) / "jobs.jsonl" for line in capsys.readouterr().out.split())
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "words",
    [["--site", "lxplus"], ["--param", "a=1"], ["--setting", "IO", "{}"], ["--template", "{a: 1}"]],
    ids=lambda words: words[0],
)
def test_nothing_that_is_typed_for_a_bundle_is_dropped(workflow, capsys, words):
    assert main(["compile", "workflow.yml"]) == 0
    bundle = capsys.readouterr().out.strip()
    with pytest.raises(SystemExit) as stopped:
        main(["compile", *words, bundle])
    assert stopped.value.code == 2
    message = f"{words[0]} is for workflows: {bundle} is compiled already\n"
    assert capsys.readouterr().err.endswith(message)


def test_a_site_is_read_once_for_all_files(workflow, capsys):
    workflow.with_name("desk.yml").write_text("{hcrc: 1, name: desk, limit: {cpus: 1}}")
    assert main(["check", "workflow.yml", "workflow.yml", "--site", "desk.yml"]) == 1
    err = capsys.readouterr().err
    assert err.count("error[") == err.count('unknown key "limit"') == 1
    workflow.write_text("[]")
    assert main(["check", "workflow.yml", "--site", "none"]) == 1
    assert capsys.readouterr().err.count("error[") == 2


@pytest.mark.parametrize(
    "text", ["", "\udcff", ".", "a" * 5000, "sites/", "x" * 300 + ".yml", "~nobody-there/x.yml"]
)
def test_what_is_no_site_is_one_error(workflow, capsys, text):
    assert main(["check", "workflow.yml", "--site", text]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("error[") == 1


def test_the_reference_says_what_sites_allow(capsys):
    assert main(["help", "--all", "lxplus"]) == 0
    assert "the batch service of CERN, from lxplus; walltime at most 7 d" in capsys.readouterr().out


STARTER = """\
#!/bin/bash
printf '%s\\0' "$(basename "$0")" "$@" >"$SEEN"
for word; do case $word in */run.sh) script=$word; break ;; esac; done
export HCRC_IN_CONTAINER=1
exec "$script" --dry-run "two words"
"""
PYTHON = '#!/bin/sh\nprintf \'%s\\n\' "$GREETING" "$@"\n'


@pytest.fixture
def start_run_sh(workflow, tmp_path, capsys):
    """What run.sh starts for a site: the words of the container's starter, and of python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("apptainer", "docker"):
        (folder / name).write_text(STARTER)
    (folder / "p y").write_text(PYTHON)
    for file in folder.iterdir():
        file.chmod(0o755)

    def start(**site):
        site = {"hcrc": 1, "name": "desk", "batch": "none", "python": str(folder / "p y"), **site}
        workflow.with_name("desk.yml").write_text(json.dumps(site))
        assert main(["compile", "workflow.yml", "--site", "desk.yml"]) == 0
        bundle = (tmp_path / capsys.readouterr().out.strip()).rename(tmp_path / "a $(b) 'c'")
        environment = {"PATH": f"{folder}:/usr/bin:/bin", "SEEN": str(tmp_path / "seen")}
        done = subprocess.run(
            [bundle / "run.sh", "--dry-run", "two words"],
            env=environment, cwd="/", capture_output=True, text=True, check=True,
        )  # fmt: skip
        seen = tmp_path / "seen"
        words = seen.read_text().split("\0")[:-1] if seen.exists() else []
        return bundle, words, done.stdout.splitlines()

    return start


GREETING = "it's $HOME `id` \\ é"


def test_without_a_batch_system_there_is_run_sh_alone(start_run_sh):
    bundle, words, lines = start_run_sh(environment={"GREETING": GREETING})
    assert not (bundle / "condor").exists()
    assert words == []
    pyz = str(bundle / "hcrc.pyz")
    assert lines == [GREETING, pyz, "run", str(bundle), "--dry-run", "two words"]


def test_run_sh_starts_itself_in_apptainer(start_run_sh):
    container = {"kind": "apptainer", "image": "/i $(m)", "gpus": True, "binds": ["/a b:/c"]}
    container["working_directory"] = "/srv"
    bundle, words, lines = start_run_sh(container=container, environment={"GREETING": GREETING})
    assert words == [
        *("apptainer", "exec", "--nv", "--bind", "/a b:/c", "--bind", str(bundle), "--pwd", "/srv"),
        *("--env", "HCRC_IN_CONTAINER=1", "/i $(m)"),
        *(f"{bundle}/run.sh", "--dry-run", "two words"),
    ]
    assert lines[0] == GREETING
    assert lines[-2:] == ["--dry-run", "two words"]


def test_run_sh_starts_itself_in_docker(start_run_sh):
    container = {"kind": "docker", "image": "a/b:1", "gpus": True, "working_directory": "/srv"}
    bundle, words, _ = start_run_sh(container=container)
    assert words == [
        *("docker", "run", "--rm", "--gpus", "all", "--volume", f"{bundle}:{bundle}"),
        *("--workdir", "/srv", "--user", f"{os.getuid()}:{os.getgid()}", "--env", "HCRC_PYTHON"),
        *("--env", "HCRC_IN_CONTAINER=1", "--entrypoint", f"{bundle}/run.sh", "a/b:1"),
        *("--dry-run", "two words"),
    ]


def test_a_task_longer_than_the_longest_flavour_is_beyond_the_site(workflow, capsys):
    workflow.with_name("desk.yml").write_text("{hcrc: 1, name: desk, walltime: flavour}")
    workflow.write_text(WORKFLOW.replace("cpus: 2", "walltime: 8 d"))
    assert main(["check", "workflow.yml", "--site", "desk.yml"]) == 1
    err = capsys.readouterr().err
    assert "asks for walltime: 8 d, and a job at desk gets at most 7 d" in err
    assert "the limit is here (desk.yml:1)" in err


@given(st.integers(1, 10**6), st.floats(1.1, 10), st.integers(1, 10**6))
def test_memory_grows_step_by_step_up_to_the_cap(memory, factor, cap):
    requests = Growth(factor, cap).requests(memory)
    assert requests[0] == memory
    assert requests[-1] == max(memory, cap)
    assert all(low < high <= max(low + 1, low * factor + 1) for low, high in pairwise(requests))


def keys():
    return json.loads(read_schema("submit-keys.json"))


def test_no_submit_command_is_both_free_and_written():
    assert keys()["free"] == sorted(set(keys()["free"]))
    assert keys()["written"] == sorted(set(keys()["written"]))
    assert not set(keys()["free"]) & set(keys()["written"])


def test_what_is_emitted_is_not_free():
    """A site cannot write over what hcrc writes, such as the memory of a task."""
    template = (sites_folder().parents[1] / "condor" / "task.sub.j2").read_text()
    emitted = set(re.findall(r"^([a-z_]+) =", template, re.MULTILINE)) | {"queue"}
    gpus = load_schemas()["site.schema.json"]["properties"]["gpus"]["properties"]
    emitted |= {f"gpus_{key}" for key in gpus}
    emitted |= {"universe", "docker_image", "container_image", "transfer_container", "priority"}
    assert emitted <= set(keys()["written"])


def test_htcondor_knows_the_submit_commands():
    htcondor2 = pytest.importorskip("htcondor2", reason="htcondor is not installed")
    libraries = Path(htcondor2.__file__).parents[1].glob("htcondor.libs/libcondor_utils*")
    known = b"".join(library.read_bytes() for library in libraries)
    assert [key for part in ("free", "written") for key in keys()[part]
            if key.encode() + b"\0" not in known] == []  # fmt: skip


def test_the_sites_in_the_documentation_are_right(tmp_path):
    text = (Path(__file__).parents[1] / "docs" / "htcondor.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        (tmp_path / "site.yml").write_text(example)
        assert read_site("./site.yml", tmp_path)[1] == []


def test_every_key_of_a_site_is_documented():
    text = (Path(__file__).parents[1] / "docs" / "htcondor.md").read_text()
    keys = load_schemas()["site.schema.json"]["properties"].keys() - {"hcrc", "name", "help"}
    assert [key for key in keys if not re.search(rf"^\|[^|]*`{key}`", text, re.MULTILINE)] == []
