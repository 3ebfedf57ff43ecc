"""hcrc inspect --open: what the headers of real files say, and every mistake of every file."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hcrc.compiler.cli import main
from hcrc.compiler.explain.inspect import read_inputs
from hcrc.runtime.data.dataset import ID_BRANCHES, INPUT_BRANCHES
from hcrc.runtime.errors import SpecError
from hcrc.runtime.inspect import read_request

DEMO = Path(__file__).parents[1] / "workflows" / "demo"
ZZ = "ZZ4b_UL16_preVFP/picoAOD.root"
DATA = Path(__file__).parents[2] / "shared" / "data"


def inspect(place, text, *words):
    """Exit code, the datasets and standard error of ``inspect --open``."""
    (place / "d.yml").write_text(text)
    command = [sys.executable, "-m", "hcrc.compiler", "inspect", "d.yml", "--open", *words]
    run = subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=False, timeout=120
    )
    return run.returncode, run.stdout, run.stderr


def dataset(files, rest="selection: passHLT & SR", base=DEMO):
    sample = f"{{sample: s, label: a, years: [UL16], files: {json.dumps(files)}}}"
    text = f"datasets:\n  D:\n    base: {base}\n    friends: [friend.json@@HCR_input]\n"
    return f"{text}    {rest}\n    samples: [{sample}]\n"


def opened(place, text):
    code, out, err = inspect(place, text, "--format", "json")
    (found,) = json.loads(out)
    assert err == ""
    return code, found["opened"]


def test_inputs_are_those_that_the_reading_asks_for():
    assert read_inputs() == {"network": list(INPUT_BRANCHES), "event": list(ID_BRANCHES)}


def test_entries_branches_and_types_of_a_file_and_its_friend(tmp_path):
    code, (file,) = opened(tmp_path, dataset([ZZ]))
    assert code == 0
    assert (file["path"], file["entries"], file["errors"]) == (str(DEMO / ZZ), 815, [])
    (friend,) = file["friends"]
    assert (friend["name"], friend["entries"], friend["branches"]) == ("HCR_input", 815, 23)
    columns = {name: column["type"] for name, column in file["columns"].items()}
    assert columns["passHLT"] == "bool"
    assert columns["CanJet_pt"] == "float[]"
    assert columns["event"] == "uint64_t"
    assert file["columns"]["SR"]["in"].endswith("HCR_input.root:Events")
    assert file["columns"]["run"]["in"] == f"{DEMO / ZZ}:Events"
    assert list(tmp_path.iterdir()) == [tmp_path / "d.yml"]


def test_every_branch_that_a_file_lacks_is_named_with_the_nearest(tmp_path):
    text = dataset([ZZ], "selection: pasHLT & SRR\n    weight: weigth * 2")
    code, (file,) = opened(tmp_path, text)
    assert code == 1
    tree = f"{DEMO / ZZ}:Events"
    assert file["errors"] == [
        f'{tree}: there is no branch "pasHLT"; did you mean "passHLT"?',
        f'{tree}: there is no branch "SRR"; did you mean "SR"?',
        f'{tree}: there is no branch "weigth"; did you mean "weight"?',
    ]
    assert "CanJet_pt" in file["columns"]


def test_what_is_wrong_with_files_is_said_of_each_and_the_others_are_read(tmp_path):
    shutil.copytree(DEMO, tmp_path / "demo")
    base = tmp_path / "demo"
    (base / "text.root").write_text("no ROOT file")
    (base / "gone").symlink_to("nowhere")
    other = "ZH4b_UL16_preVFP"
    (base / other / "HCR_input.root").unlink()
    files = ["text.root", "gone", "none.root", ZZ, f"{other}/picoAOD.root", "root://x//y.root"]
    code, found = opened(tmp_path, dataset(files, base=base))
    assert code == 1
    assert [len(file["errors"]) for file in found] == [1, 1, 1, 0, 1, 1]
    assert "are no ROOT file" in found[0]["errors"][0]
    assert found[2]["errors"] == [f"{base}/none.root: No such file or directory"]
    assert found[3]["entries"] == 815
    assert found[4]["entries"] == 1257
    assert f"{base}/{other}/HCR_input.root" in found[4]["errors"][0]
    assert "root://" in found[5]["errors"][0]


def test_a_friend_tree_that_is_not_there_and_a_tree_of_another_name(tmp_path):
    text = dataset([ZZ], "tree: Event").replace("@@HCR_input", "@@HCR_inptu")
    code, (file,) = opened(tmp_path, text)
    assert code == 1
    assert 'there is no "HCR_inptu"; did you mean "HCR_input"?' in file["errors"][0]
    assert 'there is no tree "Event"; did you mean "Events"?' in file["errors"][1]


def test_the_text_tells_types_counts_and_errors(tmp_path):
    code, out, err = inspect(tmp_path, dataset([ZZ], "weight: wieght"))
    assert code == 1
    assert (
        "    ZZ4b_UL16_preVFP/picoAOD.root: 815 entries, 39 branches; friends: HCR_input 23\n"
        in out
    )
    assert "      error: " in out
    assert "xW:float xbW:float" in out
    assert err == "hcrc: error: 1 file is not as it has to be\n"


def test_all_that_is_shipped_can_be_inspected_and_opened(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = {each["name"] for each in found}
    assert {"SvB.Background", "SvB.Signal"} <= names
    assert all(each["spec"] or each["needs"] for each in found)
    assert main(["inspect", "demo", "--open", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    shown = [file for each in found for file in each["opened"]]
    assert len(shown) == sum(each["files"] for each in found)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not DATA.is_dir(), reason="the large test data are not here")
def test_files_in_chunks_with_three_friends(tmp_path):
    selected = "metadata/datasets_HH4b.yml@@datasets.TTToHadronic.UL18.picoAOD.files"
    text = dataset([selected], "weight: weight * pseudoTagWeight * FvT", DATA)
    names = ("HCR_input", "JCM_weight", "FvT_weight")
    friends = ", ".join(f"friend.json@@{name}" for name in names)
    code, files = opened(tmp_path, text.replace("friend.json@@HCR_input", friends))
    assert code == 0
    assert len(files) > 1
    assert all(len(file["friends"]) == 3 for file in files)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "not JSON"), ("[]", "expected"), ('{"datasets": [{}]}', "datasets[0].base: missing")],
)
def test_the_runtime_checks_what_it_is_asked(text, message):
    with pytest.raises(SpecError) as error:
        read_request(text)
    assert message in str(error.value)


def test_opening_needs_the_libraries(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["inspect", "demo", "--open"]) == 2
    assert "opening files needs awkward, numpy, uproot" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
