"""Sites: their files, and how the command line takes them."""

import json

import pytest
import yaml
from hcrc.compiler.cli import main
from hcrc.compiler.files import Disk
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


@pytest.mark.parametrize("name", site_names())
def test_sites_that_come_along_are_right_and_called_like_their_files(name, tmp_path):
    site, diagnostics = read_site(name, tmp_path, Disk())
    assert not diagnostics
    assert site.name == name
    assert yaml.safe_load((sites_folder() / f"{name}.yml").read_text())["help"]


def test_the_longest_job_of_lxplus_takes_a_week(tmp_path):
    site, _ = read_site("lxplus", tmp_path, Disk())
    assert {key: node.value for key, node in site.limits.items()} == {"walltime": "7 d"}


@pytest.mark.parametrize("command", ["check", "expand", "compile"])
def test_commands_that_compile_hold_resources_against_a_site(command, workflow, capsys):
    workflow.with_name("desk.yml").write_text("{hcrc: 1, name: desk, limits: {cpus: 1}}")
    assert main([command, "workflow.yml", "--site", "generic"]) == 0
    capsys.readouterr()
    assert main([command, "workflow.yml", "--site", "desk.yml", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)[-1]
    assert found["code"] == "beyond-site"
    assert found["notes"][0]["place"]["file"] == "desk.yml"


def test_a_site_changes_no_bundle(workflow, capsys):
    assert main(["compile", "workflow.yml", "-o", "out"]) == 0
    assert main(["compile", "workflow.yml", "-o", "out", "--site", "lxplus"]) == 0
    first, second = capsys.readouterr().out.split()
    assert first == second


def test_a_bundle_is_held_against_no_site(workflow, capsys):
    assert main(["compile", "workflow.yml"]) == 0
    bundle = capsys.readouterr().out.strip()
    with pytest.raises(SystemExit) as stopped:
        main(["compile", bundle, "--site", "lxplus"])
    assert stopped.value.code == 2
    assert "a bundle is compiled already" in capsys.readouterr().err
