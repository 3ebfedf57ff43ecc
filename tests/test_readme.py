"""What the README shows holds: its workflow compiles, its error is what is printed."""

import json
import re
from pathlib import Path

import awkward
import numpy as np
import pytest
import uproot
from hcrc.compiler.cli import main
from hcrc.runtime.data.friend import parse_friend

README = (Path(__file__).parents[1] / "README.md").read_text()
METADATA = "datasets: {data: {UL17: {files: [a.root]}, UL18: {files: [b.root]}}}\n"


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """The README's workflow, its data in a folder of the test."""
    (tmp_path / "metadata.yml").write_text(METADATA)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "someone")
    (text,) = blocks("yaml")
    return text.replace("/data/ntuples", str(tmp_path))


def test_the_workflow_compiles(workflow, capsys):
    Path("svb.yml").write_text(workflow)
    assert main(["expand", "svb.yml", "--param", "offset=0-2"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "train[offset=0]~train[offset=2]: train, after cache" in captured.out
    assert "/data/someone/SvB/friend" in captured.out


def test_the_error_is_what_is_printed(workflow, capsys):
    (shown,) = [block for block in blocks("") if "error[" in block]
    line, column = map(int, re.match(r"workflows/svb\.yml:(\d+):(\d+)", shown).groups())
    (wrong,) = re.findall(rf"^{line} \| (.*)$", shown, re.MULTILINE)
    head = "hcrc: 1\nname: x\ndatasets: {}\nclassifiers: {}\ntasks:\n  train:\n" + " " * 8
    head += "task: train\n" + "\n" * (line - 8)
    Path("workflows").mkdir()
    Path("workflows/svb.yml").write_text(f"{head}{wrong}\n")
    assert main(["check", "workflows/svb.yml"]) == 1
    assert shown in capsys.readouterr().err
    assert wrong.index("kflods") + 1 == column


def test_the_friend_tree_is_one():
    (text,) = blocks("json")
    friend = parse_friend(json.loads(text)["KEY"], "README.md")
    ((base, (row,)),) = friend.data.values()
    assert (base.path, row.stop, row.chunk.length) == ("signal.root", 1000, 1000)


def test_what_writes_a_tree_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, _ = blocks("python")
    jets = awkward.zip({"pt": awkward.Array([[1.0, 2.0], [3.0]])})
    events = {"run": np.arange(2), "CanJet": jets}
    exec(text, {"uproot": uproot, "np": np, "events": events})  # noqa: S102 - our own text
    with uproot.open("signal.root") as file:
        assert file.classnames() == {"Events;1": "TTree"}
        assert {"run", "CanJet_pt"} <= set(file["Events"].keys())


def test_the_files_it_links_to_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target
