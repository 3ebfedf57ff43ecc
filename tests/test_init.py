"""The workflow to start from: it compiles as it is, and nothing is written over."""

from pathlib import Path

import pytest
import yaml
from hcrc.compiler.cli import main
from hcrc.compiler.commands.new_file import write_new
from hcrc.compiler.defaults import task_kinds


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_starter_compiles_as_it_is(capsys):
    assert main(["init"]) == 0
    assert capsys.readouterr().out.startswith("workflow.yml: written; hcrc check workflow.yml")
    assert main(["check", "workflow.yml"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "workflow.yml: no errors; 5 cells in 5 jobs\n"
    assert captured.err == ""


def test_the_starter_shows_every_kind_of_task():
    assert main(["init"]) == 0
    shown = yaml.safe_load(Path("workflow.yml").read_text())
    assert {task["task"] for task in shown["tasks"].values()} >= {*task_kinds()} - {"command"}
    assert all("help" in item for item in shown["parameters"].values())
    assert shown["datasets"]
    assert shown["classifiers"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["HH 4b.yml"], "HH_4b"),
        (["4b.yml"], "_4b"),
        (["é.yml"], "starter"),
        (["a.yml", "--name", "SvB"], "SvB"),
        (["sub/svb.yml"], "svb"),
    ],
)
def test_the_workflow_is_called_as_its_file(capsys, words, name):
    Path("sub").mkdir()
    assert main(["init", *words]) == 0
    text = Path(words[0]).read_text()
    assert yaml.safe_load(text)["name"] == name
    assert f"hcrc check  {Path(words[0]).name}" in text
    assert main(["check", words[0]]) == 0


def test_it_can_be_printed(capsys, place):
    assert main(["init", "-", "--name", "FvT"]) == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["name"] == "FvT"
    assert not list(place.iterdir())


def test_nothing_is_written_over(capsys):
    Path("workflow.yml").write_text("mine")
    assert main(["init"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "workflow.yml is there already" in captured.err
    assert Path("workflow.yml").read_text() == "mine"


def test_a_dangling_link_is_in_the_way(capsys):
    Path("workflow.yml").symlink_to("nowhere")
    assert main(["init"]) == 1
    assert "is there already" in capsys.readouterr().err
    assert not Path("nowhere").exists()


def test_a_full_disk_leaves_no_half_file(capsys, monkeypatch, place):
    whole = Path.open

    def full(path, mode="r", **options):
        file = whole(path, mode, **options)
        return _Full(file) if mode == "x" else file

    monkeypatch.setattr(Path, "open", full)
    assert main(["init"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not list(place.iterdir())


def test_an_interrupt_leaves_no_half_file(monkeypatch, place):
    whole = Path.open
    stop = KeyboardInterrupt()
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **options: _Full(whole(path, mode, **options), stop)
    )
    with pytest.raises(KeyboardInterrupt):
        write_new(place / "new.yml", "text")
    assert not list(place.iterdir())


class _Full:
    """A file on a disk that takes no more, or whose writing is stopped otherwise."""

    def __init__(self, file, error=None):
        self.file = file
        self.error = error or OSError(28, "No space left on device")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, _):
        raise self.error


@pytest.mark.parametrize("name", ["a-b", "4b", "", "a\n"])
def test_a_name_that_is_none(capsys, name, place):
    with pytest.raises(SystemExit) as end:
        main(["init", "--name", name])
    assert end.value.code == 2
    assert "is no name: letters, digits and underscores" in capsys.readouterr().err
    assert not list(place.iterdir())


def test_a_folder_that_is_not_there(capsys):
    assert main(["init", "no/w.yml"]) == 1
    assert capsys.readouterr().err == "hcrc: error: no/w.yml: No such file or directory\n"
