"""What a bundle carries of its input: all that was read, nothing else, wherever it lay."""

import json
from pathlib import Path

import pytest
from hcrc.compiler.archive import load_sources
from hcrc.compiler.cli import main

WORKFLOW = """\
hcrc: 1
name: w
parameters:
  user: {type: string, default: "{env:USER}"}
  tag: {type: string}
include: [more/definitions.yml]
tasks:
  cache: {task: cache, datasets: [Data], output: "/results/{user}/{tag}"}
"""
DEFINITIONS = """\
datasets:
  Data: {base: /data, samples: [{sample: d, label: d, years: [UL18], files: "LIST@@a.b"}]}
"""


def write(place: Path) -> Path:
    (place / "more").mkdir(parents=True)
    (place / "w.yml").write_text(WORKFLOW)
    (place / "more" / "list.yml").write_text("a: {b: [x.root]}\n")
    text = DEFINITIONS.replace("LIST", str(place / "more" / "list.yml"))
    (place / "more" / "definitions.yml").write_text(text)
    (place / "tag.yml").write_text("tag: é\n")
    return place


@pytest.fixture
def compile_in(monkeypatch, capsys):
    def compile_there(place: Path) -> Path:
        monkeypatch.chdir(place)
        monkeypatch.setenv("USER", "someone")
        monkeypatch.setenv("SECRET", "of nobody's business")
        assert main(["compile", "--template", "tag.yml", "w.yml", "-o", str(place / "o")]) == 0
        return Path(capsys.readouterr().out.strip())

    return compile_there


def test_a_bundle_holds_what_was_read_and_of_the_environment_what_was_named(tmp_path, compile_in):
    place = write(tmp_path / "here")
    record = json.loads((compile_in(place) / "sources.json").read_text())
    names = ["w.yml", "more/definitions.yml", "tag.yml", "more/list.yml"]
    assert list(record["files"]) == [str(place / name) for name in names]
    assert record["files"][str(place / "w.yml")] == WORKFLOW
    assert record["environment"] == {"USER": "someone"}
    assert record["templates"] == ["tag.yml"]
    assert record["home"] is None


def test_what_was_read_can_be_read_again_when_it_is_gone(tmp_path, compile_in):
    place = write(tmp_path / "here")
    bundle = compile_in(place)
    for name in ("w.yml", "tag.yml"):
        (place / name).unlink()
    request, files = load_sources(bundle)
    assert files.read(request.current / request.path) == WORKFLOW.encode()
    assert files.read(place / "tag.yml") == "tag: é\n".encode()
    assert not files.is_file(place / "else.yml")


def test_a_folder_that_moved_is_found_under_its_name_of_then(tmp_path, compile_in, monkeypatch):
    place = write(tmp_path / "home")
    workflow = place / "w.yml"
    workflow.write_text(WORKFLOW.replace("more/", "~/more/"))
    monkeypatch.setenv("HOME", str(place))
    bundle = compile_in(place)
    monkeypatch.setenv("HOME", str(tmp_path / "other"))
    _, files = load_sources(bundle)
    assert files.is_file(tmp_path / "other" / "more" / "definitions.yml")


def test_the_hash_tells_texts_apart_and_not_places(tmp_path, compile_in):
    one, two, three = (write(tmp_path / name) for name in ("one", "two", "three"))
    for place in (one, two, three):
        definitions = place / "more" / "definitions.yml"
        text = DEFINITIONS.replace("LIST", "list.yml").replace("/data", str(tmp_path))
        definitions.write_text(text)
    (tmp_path / "list.yml").write_text("a: {b: [x.root]}\n")
    (three / "w.yml").write_text(f"# a comment\n{WORKFLOW}")
    first, second, third = map(compile_in, (one, two, three))
    assert first.name == second.name
    assert (first / "plan.json").read_bytes() == (second / "plan.json").read_bytes()
    assert third.name != first.name
    assert (third / "jobs.jsonl").read_bytes() == (first / "jobs.jsonl").read_bytes()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"path": 1}'])
def test_a_broken_record_is_one_line(tmp_path, text):
    (tmp_path / "sources.json").write_text(text)
    with pytest.raises(ValueError, match="not the sources of a bundle"):
        load_sources(tmp_path)
