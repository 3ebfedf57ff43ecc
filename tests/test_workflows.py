"""The workflows that come with hcrc: they compile from anywhere, as they are and as people ask."""

import json
from importlib import resources

import pytest
from hcrc.compiler.cli import main


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "me")
    return tmp_path


def read_text(name):
    """A file that comes with the workflows."""
    return resources.files("hcrc.workflows").joinpath(name).read_text()


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


def classifier_of(capsys, name, *words):
    """The classifier that a workflow trains."""
    jobs = expand(capsys, name, *words)
    (spec,) = {json.dumps(c["spec"]["classifier"]) for j in jobs.values()
               if j["task"] == "train" for c in j["cells"]}  # fmt: skip
    return json.loads(spec)


def test_svb_learns_from_ggf_at_one_kl_and_is_measured_at_each(capsys):
    classifier = classifier_of(capsys, "svb")
    assert classifier["loss"] == {"selection": "(kl == 1) | (label != ggF)", "masks": []}
    background, views = ["data", "ttbar"], ["ZZ", "ZH"]
    at = {kl: f"(label != ggF) | (kl == {kl})" for kl in ("0", "1", "2.45", "5")}
    found = [
        (roc["positive"], roc["negative"], roc.get("selection"), roc.get("score", "sum"))
        for roc in classifier["rocs"]
    ]
    assert found == [
        (background, ["ZZ", "ZH", "ggF"], None, "sum"),
        *((background, [name], None, "sum") for name in ("ZZ", "ZH", "ggF")),
        *((background, ["ggF"], selection, "sum") for selection in at.values()),
        *((views, ["ggF"], selection, "difference") for selection in at.values()),
        (["ZZ"], ["ZH"], None, "difference"),
    ]


def test_svb_cuts_the_outliers_of_two_kl_and_knows_the_kl_of_each(capsys):
    _, signal = expand(capsys, "svb")["cache"]["cells"][0]["spec"]["datasets"]
    samples = {each["group"]: each for each in signal["samples"]}
    kl = {name: each.get("columns", {}).get("kl") for name, each in samples.items()}
    assert kl == {"ZZ": None, "ZH": None, "ggF_kl0": "0", "ggF_kl1": "1",
                  "ggF_kl2p45": "2.45", "ggF_kl5": "5"}  # fmt: skip
    cut = {name for name, each in samples.items() if "weight < 1" in each["selection"]}
    assert cut == {"ggF_kl2p45", "ggF_kl5"}


def test_fvt_masks_four_tag_data_of_the_signal_region(capsys):
    classifier = classifier_of(capsys, "fvt")
    assert classifier["loss"] == {
        "selection": None,
        "masks": [{"selection": "SR", "classes": ["d4"]}],
    }
    first = classifier["rocs"][0]
    assert (first["positive"], first["negative"]) == (["d4", "t4"], ["d3", "t3"])
    assert first["selection"] == "(label == d4) | (label == d3)"
    (dataset,) = expand(capsys, "fvt")["cache"]["cells"][0]["spec"]["datasets"]
    assert {each["columns"]["SR"] for each in dataset["samples"]} == {"SR"}
    thinned = {each["label"]: each["prescale"] for each in dataset["samples"] if "prescale" in each}
    assert thinned == {"t3": {"by": 10, "among": "threeTag", "weight": "weight"}}


METADATA = """\
datasets:
  mixeddata:
    UL16_preVFP: {picoAOD: {files_template: [mixXXX/UL16_preVFP.root]}}
    UL16_postVFP: {picoAOD: {files_template: [mixXXX/UL16_postVFP.root]}}
    UL17: {picoAOD: {files_template: [mixXXX/UL17.root]}}
    UL18: {picoAOD: {files_template: [mixXXX/UL18.root]}}
"""


@pytest.mark.parametrize("name", ["SvB.Background", "SvB.Eval", "FvT.Train", "FvT.Eval"])
def test_mixed_data_take_the_place_of_data(name, capsys, place):
    (place / "metadata").mkdir()
    shipped = read_text("hcr/metadata/datasets_HH4b.yml")
    merged = shipped.replace("datasets:\n", METADATA, 1)
    assert merged != shipped
    (place / "metadata" / "datasets_HH4b.yml").write_text(merged)
    (place / "new.yml").write_text(
        "hcrc: 1\nname: new\ninclude: [hcr/datasets.yml]\ntasks:\n"
        "  cache:\n    task: cache\n    datasets:\n"
        f"      - {{use: HCR.{name}, with: {{base: {place}, data: false, mixed: true,"
        " mixed_samples: 0 2}}\n"
    )
    (dataset,) = expand(capsys, "new.yml")["cache"]["cells"][0]["spec"]["datasets"]
    mixed = [each for each in dataset["samples"] if each["sample"].startswith("mixed")]
    assert not [each for each in dataset["samples"] if each["sample"] == "data"]
    assert {(each["sample"], each["year"], *each["files"]) for each in mixed} == {
        (f"mixed{index}", year, f"mix{index}/{year}.root")
        for index in (0, 2)
        for year in ("UL16_preVFP", "UL16_postVFP", "UL17", "UL18")
    }
