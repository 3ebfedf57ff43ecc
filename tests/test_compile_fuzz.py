"""Random workflows: the fast ways of the compiler give what the plain ones do."""

import hashlib
import io
import itertools
import json
import struct

import pytest
from hcrc.compiler.compile import Request, compile_workflow
from hcrc.compiler.conform import Checks
from hcrc.compiler.diagnostics import errors_of
from hcrc.compiler.keys import Keys
from hcrc.compiler.lines import write_jobs
from hcrc.compiler.schema import load_schemas, shipped_check, shipped_validator
from hcrc.compiler.values import canonical
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_expand import plain_lines

QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


def compile_text(text, folder):
    """Compile a text as a workflow in a folder."""
    path = folder / "workflow.yml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return compile_workflow(Request(path, (), (), (), {"USER": "someone"}, folder))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 40), st.floats(allow_nan=False), st.text(max_size=6)
) | st.sampled_from(["{x}", "FixedStep", "train", "cache", "8 GB", "0-3", "SvB", "label"])


def values():
    """Plain values, many of which hold keys of the language."""
    schemas = load_schemas().values()
    keys = sorted({key for schema in schemas for key in _keys(schema)})
    names = st.sampled_from(keys) | st.text(max_size=4)
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner),
        max_leaves=8,
    )


def _keys(schema):
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from _keys(value)


def schema_places():
    for name in ("workflow", "dataset", "classifier", "settings", "definitions"):
        schema = load_schemas()[f"{name}.schema.json"]
        yield f"{name}.schema.json"
        for key in schema.get("$defs", {}):
            yield f"{name}.schema.json#/$defs/{key}"
    for kind in ("cache", "train", "evaluate", "merge", "plot"):
        for key in load_schemas()["workflow.schema.json"]["$defs"][kind]["properties"]:
            yield f"workflow.schema.json#/$defs/{kind}/properties/{key}"
    yield from (
        f"common.schema.json#/$defs/{key}" for key in load_schemas()["common.schema.json"]["$defs"]
    )


@QUICK
@given(st.sampled_from(sorted(schema_places())), values(), st.booleans())
def test_what_the_fast_check_lets_pass_is_valid(place, value, bound):
    if shipped_check(place, bound)(value):
        assert list(shipped_validator(place, bound, None).iter_errors(value)) == []


def test_an_unknown_keyword_is_no_check():
    with pytest.raises(ValueError, match="no test for the keyword contains"):
        Checks({"a": {"contains": {}}}).reference("a", "")


AXES = {
    "offset": st.lists(st.integers(0, 20), min_size=1, max_size=3, unique=True),
    "seed": st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True),
    "name": st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=2, unique=True),
    "x": st.lists(
        st.booleans() | st.floats(0.5, 9) | st.sampled_from(["a/b", "..", "$(x)", "é"]),
        min_size=1,
        max_size=3,
        unique=True,
    ),
}
STRINGS = ["{x}", "a-{x}-{offset}", "{offset:03d}", "fixed"]


@st.composite
def workflows(draw):
    """A workflow whose cells draw on their axes in keys, folders and definitions, as data."""
    names = draw(st.lists(st.sampled_from(sorted(AXES)), unique=True))
    axes = {name: draw(AXES[name]) for name in sorted({*names, "offset", "x"})}
    some = st.sampled_from(STRINGS)
    sample = {"sample": "data", "label": "data", "years": ["A", "B"]}
    data = {"samples": [{**sample, "files": [draw(some) + "{year}.root"]}]}
    train = {"task": "train", "dataset": "cache", "classifier": {"use": "SvB"}, "for": axes}
    train |= {"output": draw(some) + "/" + draw(some), "group": draw(st.integers(1, 4))}
    train["output"] += "/n{name}" * ("name" in axes)
    if draw(st.booleans()):
        train["classifier"]["rocs"] = [
            {"name": "{x} {offset}", "positive": ["data"], "negative": ["ZZ"]}
        ]
    if draw(st.booleans()):
        train["training"] = {"epochs": 3, "batch_milestones": "{miles}"}
    evaluate = {"task": "evaluate", "models": "train", "datasets": ["Data"]}
    merge = {"task": "merge", "predictions": "evaluate", "output": "merges/{x}"}
    if draw(st.booleans()):
        evaluate["for"] = {
            name: draw(st.permutations(values))[: draw(st.integers(1, len(values)))]
            for name, values in draw(st.permutations(sorted(axes.items())))
        }
        evaluate["group"] = draw(st.integers(1, 4))
    merge["for"] = {"x": evaluate.get("for", axes)["x"][:2]}
    evaluate["naming"] = "{{uuid}}{x}.root".replace("{x}", "{offset}")
    return {
        "hcrc": 1,
        "name": "random",
        "parameters": {"miles": {"type": "list", "default": [1, 2]}},
        "datasets": {"Fixed": {"samples": [{**sample, "files": ["{year}"]}]}, "Data": data},
        "classifiers": {"SvB": {"classes": ["data", "ZZ"]}},
        "tasks": {
            "cache": {"task": "cache", "datasets": ["Fixed"]},
            "train": train,
            "evaluate": evaluate,
            "merge": {"task": "merge", "predictions": "evaluate"},
            "merges": merge,
            "plot": {"task": "plot", "models": "train"},
        },
    }


def cells_of(workflow, folder):
    plan = compile_text(json.dumps(workflow), folder).plan
    return {} if plan is None else {cell.id: (job, cell) for job in plan.jobs for cell in job.cells}


@settings(QUICK, max_examples=25)
@given(workflows())
def test_a_cell_is_the_same_alone_as_among_others(tmp_path_factory, workflow):
    """The plain way to expand: each cell of train by itself, so that nothing is shared."""
    folder = tmp_path_factory.mktemp("random")
    workflow["tasks"]["train"].get("training") or workflow.pop("parameters")
    tasks = {name: workflow["tasks"][name] for name in ("cache", "train", "evaluate")}
    tasks["evaluate"].pop("for", None)
    together = cells_of({**workflow, "tasks": tasks}, folder)
    for job, cell in together.values():
        if job.name != "train":
            continue
        alone = {**tasks["train"], "for": {name: [value] for name, value in cell.axes.items()}}
        single = cells_of({**workflow, "tasks": {**tasks, "train": alone}}, folder)
        for id in (cell.id, cell.id.replace("train", "evaluate", 1)):
            assert single[id][1].spec == together[id][1].spec
            assert single[id][1].output == together[id][1].output
            assert single[id][1].hash == together[id][1].hash


@settings(QUICK, max_examples=25)
@given(workflows())
def test_streamed_lines_are_those_of_the_plain_way(tmp_path_factory, workflow):
    folder = tmp_path_factory.mktemp("random")
    workflow["tasks"]["train"].get("training") or workflow.pop("parameters")
    plan = compile_text(json.dumps(workflow), folder).plan
    if plan is None:
        return
    file = io.BytesIO()
    checksum, index = write_jobs(plan, file)
    lines = file.getvalue().decode().splitlines(keepends=True)
    request = Request(folder / "workflow.yml", (), (), (), {"USER": "someone"}, folder)
    assert lines == [f"{line}\n" for line in plain_lines(request)]
    assert lines == [f"{canonical(job.to_json())}\n" for job in plan.jobs]
    assert [plan.jobs[number].id for number in range(len(plan.jobs))] == [
        json.loads(line)["id"] for line in lines
    ]
    assert checksum == hashlib.sha256(file.getvalue()).hexdigest()
    lengths = [len(line.encode()) for line in lines]
    assert [*struct.unpack(f"<{len(lines)}Q", index)] == [0, *itertools.accumulate(lengths)][:-1]


def test_most_random_workflows_have_a_plan(tmp_path):
    """What the two tests above compare is not nothing."""
    found = []

    @settings(QUICK, max_examples=20, derandomize=True)
    @given(workflows())
    def compile_one(workflow):
        workflow["tasks"]["train"].get("training") or workflow.pop("parameters")
        found.append(bool(cells_of(workflow, tmp_path)))

    compile_one()
    assert sum(found) > len(found) / 2


FOLDERS = """\
hcrc: 1
name: folders
parameters:
  store: {type: path, default: "/data/{user}"}
  user: {type: string, default: someone}
  tag: {type: string, default: "t{user}"}
  own: {type: string, default: "u{seed}"}
  seed: {type: integer, default: 0}
datasets:
  Data: {samples: [{sample: data, label: data, years: [A], files: [data.root]}]}
classifiers:
  SvB: {classes: [data, ZZ]}
tasks:
  cache: {task: cache, datasets: [Data], output: "{store}/{tag}"}
  train:
    {task: train, dataset: cache, classifier: SvB, output: OUTPUT,
     for: {offset: 8-11, seed: [3, 12], x: [TEXTS]}}
"""


@pytest.fixture
def made(monkeypatch):
    """How often a folder was made and judged by itself."""
    calls = []
    make = Keys._make_output

    def count(self, node):
        calls.append(node.text)
        return make(self, node)

    monkeypatch.setattr(Keys, "_make_output", count)
    return calls


@pytest.mark.parametrize(
    ("output", "texts", "times"),
    [
        ("{store}/{offset:05d}/{x}/{seed:x}", "a, B_c", 1),
        ("{offset}{seed}-{offset}{x}", "a, b-", 1),
        ("../{seed}/../{x}/a{offset:05d}/.//b{seed}/", "1.5, 2", 1),
        ("../{seed}/../{x}/a{offset:05d}/.//b{seed}/", "1, true", 1),
        ("{{offset}}-{offset}{x}-{timestamp:%Y}", "a, b", 1),
        ("root://host//{tag}/{offset}/{x}/", "a, b", 1),
        ("{store}/{offset:>5}/{x:->3}", "a, b", 8),
        ("{store}/{offset}/{x:/<3}", "a, b", 8),
        ("{x}/{offset}", '"..", "a/b"', 8),
        ("~/{x}/{offset}", "a, b", 8),
        ("{own}{x}/{offset}-{seed}", "a, b", 16),
    ],
)
def test_folders_are_spliced_where_one_stands_for_all(tmp_path, made, output, texts, times):
    """The folders are the same if each is made by itself, as it is where it has to be."""
    text = FOLDERS.replace("OUTPUT", json.dumps(output)).replace("TEXTS", texts)
    compilation = compile_text(text, tmp_path)
    assert errors_of(compilation.diagnostics) == []
    plan = compilation.plan
    assert len(made) - 1 == times
    file = io.BytesIO()
    write_jobs(plan, file)
    request = Request(tmp_path / "workflow.yml", (), (), (), {}, tmp_path)
    assert file.getvalue().decode().splitlines() == plain_lines(request)
