"""Hashes and bundles: what changes a cell's hash, what leaves it, and equal bytes."""

import json
import struct
import tracemalloc
from pathlib import Path

import pytest
from hcrc.compiler.cli import main
from hcrc.compiler.compile import Request, compile_workflow
from hcrc.compiler.hashing import Hasher, result_part
from hcrc.compiler.lines import write_jobs
from hcrc.compiler.schema import load_schemas
from hcrc.compiler.values import canonical
from hcrc.runtime.job import load_job
from hcrc.runtime.spec import SPECS, read_job
from jsonschema import Draft202012Validator

CASES = sorted((Path(__file__).parent / "cases" / "compile").iterdir())
WORKFLOW = """\
hcrc: 1
name: plan
datasets:
  Data: {{samples: [{{sample: data, label: data, years: [UL18], files: [{files}]}}]}}
  Signal: {{samples: [{{sample: ZZ4b, label: ZZ, years: [UL18], files: [ZZ4b.root]}}]}}
classifiers:
  SvB: {{classes: [data, ZZ]}}
tasks:
  cache: {{task: cache, datasets: [Data, Signal], chunks: {chunks}}}
  train: {{task: train, dataset: cache, classifier: SvB, for: {{offset: {offset}}}, group: {group},
          kfolds: {kfolds}, resources: {{memory: {memory}}}}}
  evaluate: {{task: evaluate, models: train, datasets: [Data, Signal]}}
  merge: {{task: merge, predictions: evaluate}}
"""
DEFAULTS = {
    "files": "data.root",
    "chunks": 1,
    "offset": "0-2",
    "group": 1,
    "kfolds": 3,
    "memory": "1 GB",
}


@pytest.fixture
def compile_jobs(tmp_path, monkeypatch, capsys):
    """A function that compiles the workflow with some changes to its jobs."""
    monkeypatch.chdir(tmp_path)

    def compile_with(comment="", **changes):
        text = WORKFLOW.format(**DEFAULTS | changes) + comment
        (tmp_path / "plan.yml").write_text(text)
        assert main(["compile", "plan.yml"]) == 0
        bundle = tmp_path / capsys.readouterr().out.strip()
        return [json.loads(line) for line in (bundle / "jobs.jsonl").read_text().splitlines()]

    return compile_with


def hashes(jobs):
    return {cell["id"]: cell["hash"] for job in jobs for cell in job["cells"]}


def changed(before, after):
    old, new = hashes(before), hashes(after)
    return {name.partition("[")[0] for name in new if old.get(name) != new[name]}


@pytest.mark.parametrize(
    ("change", "tasks"),
    [
        ({"comment": "# a comment\n"}, set()),
        ({"memory": "8 GB"}, set()),
        ({"group": 3}, set()),
        ({"kfolds": 4}, {"train", "evaluate", "merge"}),
        ({"chunks": 2}, {"cache", "train", "evaluate", "merge"}),
        ({"files": "other.root"}, {"cache", "train", "evaluate", "merge"}),
        ({"offset": "0-3"}, {"train", "evaluate", "merge"}),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_a_change_reaches_exactly_what_it_decides(compile_jobs, change, tasks):
    assert changed(compile_jobs(), compile_jobs(**change)) == tasks


def test_another_offset_leaves_the_cells_that_are_there(compile_jobs):
    before, after = hashes(compile_jobs()), hashes(compile_jobs(offset="0-3", group=2))
    assert before.keys() - after.keys() == set()
    assert {name for name in before if before[name] != after[name]} == {"merge"}


def test_a_group_shares_a_job(compile_jobs):
    jobs = compile_jobs(group=2)
    train = [job for job in jobs if job["task"] == "train"]
    assert [[cell["id"] for cell in job["cells"]] for job in train] == [
        ["train[offset=0]", "train[offset=1]"],
        ["train[offset=2]"],
    ]
    assert [job["id"] for job in train] == ["train[offset=0]~train[offset=1]", "train[offset=2]"]


def test_the_folder_and_base_enter_no_hash():
    hasher = Hasher("cache")
    spec = json.loads((CASES[0] / "jobs.jsonl").read_text().splitlines()[0])["cells"][0]["spec"]
    moved = json.loads(canonical(spec).replace("$CASE", "/elsewhere"))
    assert moved != spec
    assert hasher.hash_spec(moved) == hasher.hash_spec(spec)


def test_an_equal_number_is_an_equal_hash():
    assert result_part(2.0, {}) == 2
    assert isinstance(result_part(2.0, {}), int)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_golden_job_is_of_the_schema_and_is_loaded_by_the_runtime(case):
    validator = Draft202012Validator(load_schemas()["job.schema.json"])
    for line in (case / "jobs.jsonl").read_text().splitlines():
        job = json.loads(line)
        validator.validate(job)
        assert [cell.raw for cell in read_job(job).cells] == [c["spec"] for c in job["cells"]]


def test_the_specs_of_both_halves_have_the_same_fields():
    """The runtime's types and the schema are the same contract."""
    definitions = load_schemas()["job.schema.json"]["$defs"]
    for task, kind in SPECS.items():
        assert set(definitions[task]["properties"]) == set(kind.__dataclass_fields__)


def test_every_field_of_a_job_has_a_role():
    def properties(schema):
        if isinstance(schema, dict):
            for value in schema.get("properties", {}).values():
                yield value
            for value in schema.values():
                yield from properties(value)

    schema = load_schemas()["job.schema.json"]
    fields = [*properties({**schema, "allOf": []})]
    assert len(fields) > 50
    assert all(field["x-role"] in ("result", "execution") for field in fields)


def compile_sweep(folder, cells, output="out"):
    text = WORKFLOW.format(**DEFAULTS | {"offset": f"0-{cells - 1}"})
    (folder / "sweep.yml").write_text(text.replace("kfolds: 3", f'kfolds: 3, output: "{output}"'))
    request = Request(folder / "sweep.yml", (), (), (), {}, folder)
    return compile_workflow(request).plan


def test_a_plan_is_written_in_little_memory(tmp_path):
    """What grows with the cells are 16 bytes of hash and 8 of the index, and the axis itself."""
    compile_sweep(tmp_path, 10)
    tracemalloc.start()
    try:
        plan = compile_sweep(tmp_path, 10_000)
        tracemalloc.reset_peak()  # a file is read into room for the largest
        with (tmp_path / "jobs.jsonl").open("wb") as file:
            write_jobs(plan, file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(plan.jobs) == 20_002
    assert (tmp_path / "jobs.jsonl").stat().st_size > 20e6
    assert peak < 3e6


def test_jobs_are_found_by_number(tmp_path):
    jobs = compile_sweep(tmp_path, 3).jobs
    assert [jobs[number].id for number in range(len(jobs))] == [job.id for job in jobs]
    assert jobs[7].id == "merge"
    assert jobs[7].needs == (4, 5, 6)


def test_the_root_of_a_task_is_a_folder_of_its_own(tmp_path):
    roots = {
        output: compile_sweep(tmp_path, 2, output).tasks[1].root
        for output in ("/a", "/a/{offset}/b", "/{offset}/b", "/a/{offset}b")
    }
    assert roots == {
        "/a": "/a",
        "/a/{offset}/b": "/a",
        "/{offset}/b": "/0/b",
        "/a/{offset}b": "/a",
    }


def test_the_index_finds_each_job(compile_jobs, tmp_path):
    jobs = compile_jobs()
    path = next(tmp_path.glob("hcrc-out/plan/*/jobs.jsonl"))
    assert [load_job(path, job["number"]).id for job in jobs] == [job["id"] for job in jobs]
    index = path.with_suffix(".idx").read_bytes()
    assert len(struct.unpack(f"<{len(index) // 8}Q", index)) == len(jobs)


def test_compiling_twice_gives_the_same_bytes(compile_jobs, tmp_path, capsys):
    compile_jobs()
    assert main(["compile", "plan.yml", "-o", "again"]) == 0
    capsys.readouterr()
    first, second = (next((tmp_path / name / "plan").iterdir()) for name in ("hcrc-out", "again"))
    assert first.name == second.name
    paths = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    names = [str(path) for path in paths if path.parts[0] != "condor"]
    assert names == ["hcrc.pyz", "jobs.idx", "jobs.jsonl", "plan.json", "run.sh", "sources.json"]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in paths)


def test_a_bundle_that_is_there_is_left_alone(compile_jobs, tmp_path):
    compile_jobs()
    bundle = next((tmp_path / "hcrc-out" / "plan").iterdir())
    before = (bundle / "plan.json").stat().st_mtime_ns
    compile_jobs()
    assert (bundle / "plan.json").stat().st_mtime_ns == before
    assert sorted(path.name for path in bundle.parent.iterdir()) == [bundle.name]


@pytest.mark.parametrize("key", ["fold_offsets", "only_chunks"])
def test_a_range_is_the_same_in_whatever_order_it_is_written(compile_jobs, key):
    written = ["0-1", "[1, 0]", "1 0"]
    found = {
        tuple(hashes(compile_jobs(memory=f"1 GB}}, {key}: {text}, environment: {{")).items())
        for text in written
    }
    assert len(found) == 1
    jobs = compile_jobs(memory=f"1 GB}}, {key}: '1 0', environment: {{")
    assert jobs[1]["cells"][0]["spec"][key] == [0, 1]
    assert jobs[0]["cells"][0]["hash"] == compile_jobs()[0]["cells"][0]["hash"]
