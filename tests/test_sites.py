"""Sites: their files, and how the command line takes them."""

import json
from pathlib import Path

import pytest
from hcrc.compiler.cli import main
from hcrc.compiler.profile import Profile
from hcrc.compiler.shipped import sites_folder
from hcrc.compiler.sites import read_site, site_names

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
