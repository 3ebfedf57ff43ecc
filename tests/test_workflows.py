"""The workflows that come with hcrc: they compile from anywhere, as they are and as people ask."""

import json

import pytest
from hcrc.compiler.cli import main


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "me")
    return tmp_path


def expand(capsys, *words):
    """The jobs of an expansion, by id."""
    assert main(["expand", *words, "--format", "json"]) == 0
    return {job["id"]: job for job in json.loads(capsys.readouterr().out)["jobs"]}


@pytest.mark.parametrize("name", ["demo", "svb", "fvt"])
def test_it_has_no_errors_and_no_warnings(name, capsys):
    assert main(["check", name, "--strict"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith(f"{name}: no errors")


def test_svb_goes_below_one_base_that_a_parameter_replaces(capsys):
    jobs = expand(capsys, "svb")
    assert list(jobs) == ["cache", "train[offset=0]", "plot", "evaluate[offset=0]", "merge"]
    store = "root://cmseos.fnal.gov//store/user/me/HH4b/classifier/SvB"
    assert jobs["merge"]["cells"][0]["output"] == f"{store}/friend/test"
    jobs = expand(capsys, "{norm: 7, tag: mine}", "svb", "--as-template", "--param", "store=here")
    outputs = [job["cells"][0]["output"] for job in jobs.values()]
    assert all("/here/" in output for output in outputs)
    background, signal = jobs["cache"]["cells"][0]["spec"]["datasets"]
    assert background["norm"] == {"sum": 7, "by": "dataset"}
    assert signal["norm"] == {"sum": 1, "by": "group"}
    assert len({sample["group"] for sample in signal["samples"]}) == 6


def test_fvt_trains_three_offsets_in_a_job_and_merges_only_if_asked(capsys):
    jobs = expand(capsys, "fvt")
    train = jobs["train[offset=0]~train[offset=2]"]["cells"]
    assert [cell["spec"]["offset"] for cell in train] == [0, 1, 2]
    assert {cell["spec"]["folds"] for cell in train} == {"random"}
    assert "merge" not in jobs
    assert "merge" in expand(capsys, "fvt", "--param", "merge=true")


def test_a_tag_may_go_with_an_offset(capsys):
    jobs = expand(capsys, "fvt", "--param", "tag=offset{offset}", "--param", "offset=1-2")
    cells = jobs["train[offset=1]~train[offset=2]"]["cells"]
    folders = [cell["output"].rpartition("/train/")[2] for cell in cells]
    assert folders == ["offset1", "offset2"]


def test_three_tag_ttbar_is_left_out_of_fvt_on_request(capsys, place):
    place.joinpath("new.yml").write_text(
        "hcrc: 1\nname: new\ninclude: [hcr/datasets.yml, hcr/classifiers.yml]\ntasks:\n"
        "  all: {task: cache, datasets: [HCR.FvT.Train]}\n"
        "  cache:\n    task: cache\n    datasets:\n"
        "      - {use: HCR.FvT.Train, with: {ttbar_3b: false, weight_3b: weight}}\n"
        "  train: {task: train, dataset: cache, classifier: HCR.FvT.no_ttbar_3b}\n"
    )
    jobs = expand(capsys, "new.yml", "--strict")
    (whole,) = jobs["all"]["cells"][0]["spec"]["datasets"]
    (less,) = jobs["cache"]["cells"][0]["spec"]["datasets"]
    assert {each["label"] for each in whole["samples"]} == {"d3", "d4", "t3", "t4"}
    labels = [each["label"] for each in whole["samples"]]
    assert len(less["samples"]) == len(labels) - labels.count("t3")
    assert weights(whole) == {"d3": "weight * pseudoTagWeight", "d4": "weight",
                              "t3": "weight * pseudoTagWeight", "t4": "weight"}  # fmt: skip
    assert weights(less) == dict.fromkeys(["d3", "d4", "t4"], "weight")
    classifier = jobs["train"]["cells"][0]["spec"]["classifier"]
    assert "t3" not in json.dumps(classifier)
    assert "p_m3" not in classifier["outputs"]
    assert classifier["outputs"]["FvT"] == "(p_d4 - p_t4) / p_d3"


def weights(dataset):
    return {each["label"]: each["weight"] for each in dataset["samples"]}


def test_a_classifier_without_three_tag_ttbar_refuses_its_events(capsys, place):
    place.joinpath("new.yml").write_text(
        "hcrc: 1\nname: new\ninclude: [hcr/datasets.yml, hcr/classifiers.yml]\ntasks:\n"
        "  cache: {task: cache, datasets: [HCR.FvT.Train]}\n"
        "  train: {task: train, dataset: cache, classifier: HCR.FvT.no_ttbar_3b}\n"
    )
    assert main(["check", "new.yml"]) == 1
    assert "error[unknown-label]" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "title"), [("svb", "SvB"), ("fvt", "FvT")])
def test_plots_go_to_a_web_area_as_well_for_a_cern_account(name, title, capsys):
    words = [name, "--param", "store=/some/folder"]
    outputs = [job["cells"][0]["output"] for job in expand(capsys, *words).values()]
    assert all(output.startswith("/some/folder/") for output in outputs)
    assert main(["check", *words, "--strict", "--param", "cernuser=jdoe"]) == 0
    capsys.readouterr()
    jobs = expand(capsys, *words, "--param", "cernuser=jdoe")
    web, plot = (jobs[name]["cells"][0] for name in ("web", "plot"))
    folder = f"eos/user/j/jdoe/www/HH4b/classifier/{title}/test"
    assert web["output"] == f"root://eosuser.cern.ch//{folder}"
    assert web["spec"] == plot["spec"]
    assert plot["output"] == "/some/folder/plots/test"
    rest = [job["cells"][0]["output"] for id, job in jobs.items() if id != "web"]
    assert all(output.startswith("/some/folder/") for output in rest)
