"""Results: whole or not at all, never a traceback from what lies on disk."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hcrc.runtime import result as module
from hcrc.runtime.errors import DataError, SpecError, StorageError
from hcrc.runtime.result import Attempt, load_result, open_attempt
from hcrc.runtime.spec import Cell, PlotSpec
from hcrc.runtime.stale import KnownResults, stale_reason
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def make_cell(home: Path, name: str = "plot", digest: str = "h") -> Cell:
    return Cell(
        id=name,
        task="plot",
        axes={},
        output=str(home / name),
        hash=digest,
        spec=PlotSpec(models=[]),
        raw={"models": []},
    )


def make(cell: Cell, text: str = "text", **read: Any) -> Any:
    with open_attempt(cell) as attempt:
        for path in read.get("inputs", []):
            attempt.read(path)
        for path in read.get("upstream", []):
            attempt.read_result(path)
        out = attempt.path("sub/out.txt")
        out.write_text(text)
        return attempt.commit({"out": out}, {"text": text, "summary": ["AUC 0.9"]}, device="cpu")


def attempts(cell: Cell) -> list[str]:
    return sorted(path.name for path in Path(cell.output).glob("try-*"))


def fail_with(attempt: Attempt, error: type[BaseException]) -> None:
    attempt.path("out.txt").write_text("half")
    raise error


def leftovers(cell: Cell) -> list[str]:
    kept = {"result.json", ".lock", load_result(f"{cell.output}/result.json").attempt}
    return sorted(path.name for path in Path(cell.output).iterdir() if path.name not in kept)


def test_a_result_is_read_as_it_was_made(tmp_path: Path) -> None:
    cell = make_cell(tmp_path)
    made = make(cell)
    read = load_result(tmp_path / "plot/result.json")
    assert read == made
    assert read.path("out").read_text() == "text"
    assert stale_reason(cell) is None
    with pytest.raises(DataError, match="names no file 'in'"):
        read.path("in")


def test_a_result_follows_its_schema(tmp_path: Path) -> None:
    upstream = make_cell(tmp_path, "up")
    make(upstream)
    source = tmp_path / "input"
    source.touch()
    cell = make_cell(tmp_path)
    make(cell, inputs=[source], upstream=[tmp_path / "up/result.json"])
    value = json.loads((tmp_path / "plot/result.json").read_text())
    validator = result_validator()
    validator.validate(value)
    for broken in (value | {"more": 1}, {k: v for k, v in value.items() if k != "hash"}):
        assert not validator.is_valid(broken)


def result_validator() -> Any:
    text = resources.files("hcrc.schemas").joinpath("result.schema.json").read_text("utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_attempt_leaves_the_earlier_result(
    tmp_path: Path, error: type[BaseException]
) -> None:
    cell = make_cell(tmp_path)
    made = make(cell)
    with pytest.raises(error), open_attempt(cell) as attempt:
        fail_with(attempt, error)
    assert load_result(tmp_path / "plot/result.json") == made
    assert stale_reason(cell) is None
    assert leftovers(cell) == []


def test_the_first_attempt_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    cell = make_cell(tmp_path)
    with pytest.raises(ValueError, match="stop"), open_attempt(cell):
        raise ValueError("stop")
    assert [path.name for path in Path(cell.output).iterdir()] == [".lock"]
    assert stale_reason(cell) == "no result yet"


def test_files_are_on_disk_before_the_result_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        steps.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def note_replace(path: Path, target: Path) -> Path:
        steps.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    made = make(make_cell(tmp_path))
    before = steps[: steps.index("replace")]
    assert before[0] == "out.txt"
    assert {"sub", made.attempt, "plot"} <= set(before)
    assert before[-1].startswith(".result.json.")
    assert steps[-1] == "plot"


@pytest.mark.parametrize("step", ["fsync", "replace", "write"])
def test_an_error_within_commit_leaves_the_earlier_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    cell = make_cell(tmp_path)
    made = make(cell)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if step == "fsync":
            patch.setattr(os, "fsync", fail)
        elif step == "replace":
            patch.setattr(Path, "replace", fail)
        else:
            patch.setattr(module, "write_json", fail)
        with pytest.raises(StorageError, match="plot: No space left"):
            make(cell, "new")
    assert load_result(tmp_path / "plot/result.json") == made
    assert made.path("out").read_text() == "text"
    assert leftovers(cell) == []


def test_what_dead_attempts_left_is_removed(tmp_path: Path) -> None:
    cell = make_cell(tmp_path)
    first = make(cell)
    (tmp_path / "plot/try-20260101T000000Z-0123ab").mkdir()
    (tmp_path / "plot/.result.json.123.tmp").write_text("{")
    second = make(cell, "new")
    assert attempts(cell) == [second.attempt]
    assert first.attempt != second.attempt
    assert leftovers(cell) == []


def test_what_is_no_attempt_is_left_alone(tmp_path: Path) -> None:
    cell = make_cell(tmp_path)
    make(cell)
    own = tmp_path / "plot/try-this"
    own.mkdir()
    link = tmp_path / "plot/try-20260101T000000Z-0123ab"
    link.symlink_to(own, target_is_directory=True)
    make(cell, "new")
    assert own.is_dir()
    assert link.is_symlink()


def test_nothing_is_removed_while_the_result_cannot_be_read(tmp_path: Path) -> None:
    cell = make_cell(tmp_path)
    made = make(cell)
    text = (tmp_path / "plot/result.json").read_text()
    (tmp_path / "plot/result.json").write_text("{")
    with pytest.raises(ValueError, match="stop"), open_attempt(cell):
        raise ValueError("stop")
    (tmp_path / "plot/result.json").write_text(text)
    assert stale_reason(cell) is None
    assert made.path("out").exists()
    make(cell)
    assert leftovers(cell) == []


def test_two_attempts_at_once_are_refused(tmp_path: Path) -> None:
    cell = make_cell(tmp_path)
    with (
        open_attempt(cell) as attempt,
        pytest.raises(StorageError, match="is running here"),
        open_attempt(cell),
    ):
        raise AssertionError
    assert not attempt.folder.exists()


def test_nan_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(SpecError, match=r"result\.json"),
        open_attempt(make_cell(tmp_path)) as attempt,
    ):
        attempt.commit({}, {"loss": float("nan")})


def test_each_reason_to_run(tmp_path: Path) -> None:
    source = tmp_path / "input"
    source.write_text("1")
    upstream, cell = make_cell(tmp_path, "up"), make_cell(tmp_path)
    make(upstream)
    path = tmp_path / "up/result.json"
    known = KnownResults()

    def remake() -> Path:
        made = make(cell, inputs=[source], upstream=[path])
        assert stale_reason(cell, known) is None
        return Path(made.path("out"))

    remake().unlink()
    assert "out.txt is gone" in str(stale_reason(cell, known))
    remake().write_text("longer than before")
    assert "out.txt changed" in str(stale_reason(cell, known))
    remake()
    os.utime(source, ns=(0, 1))
    assert stale_reason(cell, known) == f"input {source} changed"
    source.unlink()
    assert stale_reason(cell, known) == f"input {source}: No such file or directory"
    source.write_text("1")
    remake()
    make(upstream)
    assert stale_reason(cell, known) == "up was made again"
    path.unlink()
    assert "upstream" in str(stale_reason(cell, known))
    assert stale_reason(make_cell(tmp_path, digest="new")) == "its definition changed"


def test_an_unreachable_folder_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "plot").write_text("a file")
    assert "Not a directory" in str(stale_reason(make_cell(tmp_path)))
    with pytest.raises(StorageError), open_attempt(make_cell(tmp_path)):
        raise AssertionError
    assert stale_reason(make_cell(tmp_path, "x" * 300)) is not None
    assert stale_reason(make_cell(tmp_path, "nul\0")) is not None


def test_an_upstream_of_another_definition_is_refused(tmp_path: Path) -> None:
    make(make_cell(tmp_path, "up"))
    with (
        pytest.raises(DataError, match="another definition of up"),
        open_attempt(make_cell(tmp_path)) as attempt,
    ):
        attempt.read_result(tmp_path / "up/result.json", "other")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_malformed_result_is_one_line(tmp_path: Path, data: st.DataObject) -> None:
    cell = make_cell(tmp_path)
    path = Path(cell.output) / "result.json"
    if not path.exists():
        (tmp_path / "input").touch()
        make(make_cell(tmp_path, "up"))
        make(cell, inputs=[tmp_path / "input"], upstream=[tmp_path / "up/result.json"])
        (tmp_path / "whole").write_text(path.read_text())
    whole = (tmp_path / "whole").read_text()
    value = json.loads(whole)
    target, key = data.draw(st.sampled_from(places(value)))
    target[key] = data.draw(JSON)
    path.write_text(json.dumps(value), "utf-8")
    reason = stale_reason(cell)
    assert reason is None or isinstance(reason, str)


def places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = []
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list) and key not in ("spec", "provenance", "data"):
            found += places(value[key])
    return found


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "[" * 100_000, '{"hcrc": 2}', '{"hcrc": 1}', "\xff", "1" * 9000]
)
def test_what_is_no_result_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text, "latin-1")
    with pytest.raises(DataError) as caught:
        load_result(path)
    assert "\n" not in str(caught.value)
