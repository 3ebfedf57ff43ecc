"""Reading ROOT files with friend trees: the join, and each way in which it can be refused."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from hcrc.runtime.data.friend import (
    BaseFile,
    Chunk,
    Range,
    name_chunk,
    parse_friend,
    read_friend,
    to_json,
)
from hcrc.runtime.data.paths import storage_error
from hcrc.runtime.data.root import Jagged, open_joined
from hcrc.runtime.errors import DataError, JobError, SpecError, StorageError
from hypothesis import given, settings
from hypothesis import strategies as st

from .data_files import (
    error_text,
    friend_chunk,
    friend_json,
    make_lists,
    mutate,
    read_uuid,
    simulated_data,
    write_json,
    write_root,
)

BASE = {
    "x": np.arange(10, dtype=np.float32),
    "flag": np.arange(10) % 2 == 0,
    "event": np.arange(10, dtype=np.uint64),
    "jets": make_lists(np.arange(10), [2, 0, 3, 0, 0, 1, 0, 4, 0, 0]),
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.root"
    write_root(path, BASE)
    return path


def add_friend(base: Path, name: str, columns: dict[str, Any], *stops: int, **changes: Any) -> str:
    """Write a friend tree in as many files as there are stops; the text that selects it."""
    ranges, start = [], 0
    for stop in stops or (10,):
        path = base.with_name(f"{name}.{start}_{stop}.root")
        write_root(path, {key: value[start:stop] for key, value in columns.items()})
        ranges.append(friend_chunk(path, start, stop))
        start = stop
    value = friend_json(name, list(columns), [(base, ranges)])
    write_json(base.with_name(f"{name}.json"), {"set": {name: value | changes}})
    return f"{name}.json@@set.{name}"


def read(base: Path, branches: list[str], *friends: str, start: int = 0, stop: int = 10) -> Any:
    found = [read_friend(text, str(base.parent)) for text in friends]
    opened: list[str] = []
    with open_joined(
        base, "Events", found, branches, lambda path, uuid: opened.append(path.name)
    ) as tree:
        columns = {branch: tree.read(branch, start, stop) for branch in branches}
    return columns | {"opened": opened}


def message(base: Path, branches: list[str], *friends: str, kind: type = DataError) -> str:
    with pytest.raises(JobError) as error:
        read(base, branches, *friends)
    assert type(error.value) is kind
    assert "\n" not in str(error.value)
    return str(error.value).replace(str(base.parent), "DIR")


def test_columns_are_native_and_as_they_are(base: Path) -> None:
    columns = read(base, ["x", "flag", "event", "jets"], start=2, stop=8)
    assert columns["x"].dtype == np.float32
    assert columns["x"].tolist() == [2, 3, 4, 5, 6, 7]
    assert columns["flag"].dtype == np.bool_
    assert columns["event"].dtype == np.uint64
    assert columns["jets"].counts.tolist() == [3, 0, 0, 1, 0, 4]
    assert columns["opened"] == ["base.root"]


def test_lists_are_padded_and_cut() -> None:
    jets = Jagged(np.array([2, 0, 3]), np.array([1, 2, 3, 4, 5], np.int32))
    assert jets.pad(2, -1.0).tolist() == [[1, 2], [-1, -1], [3, 4]]
    assert jets.pad(4, -1.0)[2].tolist() == [3, 4, 5, -1]


def test_a_friend_beats_its_base_and_a_later_friend_an_earlier(base: Path) -> None:
    first = add_friend(base, "first", {"x": np.arange(10) + 100.0, "y": np.arange(10) + 200.0})
    second = add_friend(base, "second", {"y": np.arange(10) + 300.0}, 4, 10)
    columns = read(base, ["event", "x", "y"], first, second, start=3, stop=6)
    assert columns["x"].tolist() == [103, 104, 105]
    assert columns["y"].tolist() == [303, 304, 305]
    assert read(base, ["y"], second, first)["y"].tolist() == [200 + i for i in range(10)]


def test_only_files_with_a_needed_branch_are_opened(base: Path) -> None:
    friend = add_friend(base, "friend", {"y": np.zeros(10)}, 4, 10)
    assert read(base, ["x"], friend)["opened"] == ["base.root"]
    opened = ["base.root", "friend.0_4.root", "friend.4_10.root"]
    assert read(base, ["y"], friend)["opened"] == opened


def test_lists_go_over_several_friend_files(base: Path) -> None:
    friend = add_friend(base, "friend", {"jets": BASE["jets"]}, 3, 7, 10)
    columns = read(base, ["jets"], friend)
    assert columns["jets"].counts.tolist() == [2, 0, 3, 0, 0, 1, 0, 4, 0, 0]
    assert columns["jets"].content.tolist() == list(range(10))


def test_a_range_may_be_a_part_of_a_chunk(base: Path) -> None:
    path = base.with_name("large.root")
    write_root(path, {"y": np.arange(30.0)})
    chunk = {"num_entries": 30, "entry_start": 15, "entry_stop": 25}
    value = friend_json("f", ["y"], [(base, [friend_chunk(path, 0, 10, **chunk)])])
    write_json(base.with_name("f.json"), value)
    assert read(base, ["y"], "f.json", start=1, stop=3)["y"].tolist() == [16, 17]


@pytest.mark.parametrize(
    ("stops", "expected"),
    [
        ([(0, 4), (5, 10)], "entries 4 to 5 are missing"),
        ([(0, 4), (3, 10)], "entries 3 to 4 are given twice"),
        ([(0, 4)], "entries 4 to 10 are missing"),
        ([(1, 10)], "entries 0 to 1 are missing"),
        ([(0, 12)], "entries 10 to 12 are too many"),
        ([], "entries 0 to 10 are missing"),
    ],
)
def test_a_friend_must_cover_its_base_once(
    base: Path, stops: list[tuple[int, int]], expected: str
) -> None:
    friend = add_friend(base, "f", {"y": np.zeros(10)})
    chunk = Chunk("f.root", "Events", "0", 0)
    rows = [Range(a, b, Chunk("f.root", "Events", "0", b - a)) for a, b in stops]
    assert chunk.length == 0
    file = BaseFile(str(base), "Events", read_uuid(base))
    value = {"f": to_json("f", ["y"], [(file, rows)])}
    write_json(base.with_name("f.json"), {"set": value})
    text = 'DIR/f.json@@set.f: friend tree "f" of DIR/base.root:Events (10 entries): '
    assert message(base, ["y"], friend) == text + expected


def test_a_range_must_be_as_long_as_its_chunk(base: Path) -> None:
    friend = add_friend(base, "f", {"y": np.zeros(10)}, 8, 10)
    path = base.with_name("f.0_8.root")
    rows = [friend_chunk(path, 0, 8, num_entries=7), friend_chunk(path, 8, 10)]
    write_json(base.with_name("f.json"), {"set": {"f": friend_json("f", ["y"], [(base, rows)])}})
    assert message(base, ["y"], friend) == (
        'DIR/f.json@@set.f: friend tree "f" of DIR/base.root:Events: '
        "entries 0 to 8 have 7 entries in DIR/f.0_8.root"
    )


def test_a_friend_file_must_be_the_one_that_was_registered(base: Path) -> None:
    friend = add_friend(base, "f", {"y": np.zeros(10)})
    text = base.with_name("f.json").read_text()
    path = base.with_name("f.0_10.root")
    old, new = read_uuid(path), write_root(path, {"y": np.zeros(10)})
    assert message(base, ["y"], friend) == (
        f"DIR/f.0_10.root:Events: uuid {new} where DIR/f.json@@set.f has {old}"
    )
    uuid = write_root(path, {"y": np.zeros(9)})
    base.with_name("f.json").write_text(text.replace(old, uuid))
    assert message(base, ["y"], friend) == (
        "DIR/f.0_10.root:Events: 9 entries where DIR/f.json@@set.f has 10"
    )


def test_a_friend_without_the_base_is_refused(base: Path) -> None:
    friend = add_friend(base, "f", {"y": np.zeros(10)}, data=[])
    assert message(base, ["y"], friend) == (
        'DIR/f.json@@set.f: friend tree "f" has no entries for '
        f"DIR/base.root:Events (uuid {read_uuid(base)})"
    )


def test_a_friend_must_cover_its_base_though_none_of_its_branches_is_needed(base: Path) -> None:
    absent = add_friend(base, "f", {"y": np.zeros(10)}, data=[])
    short = add_friend(base, "g", {"z": np.zeros(10)}, 4)
    uuid = read_uuid(base)
    assert message(base, ["x"], absent) == (
        f'DIR/f.json@@set.f: friend tree "f" has no entries for DIR/base.root:Events (uuid {uuid})'
    )
    assert message(base, ["x"], short) == (
        'DIR/g.json@@set.g: friend tree "g" of DIR/base.root:Events (10 entries): '
        "entries 4 to 10 are missing"
    )


def test_missing_things_are_named_with_the_nearest_word(base: Path) -> None:
    friend = add_friend(base, "f", {"weight": np.zeros(10)}, branches=["weight", "weigth2"])
    assert message(base, ["flags"]) == (
        'DIR/base.root:Events: there is no branch "flags"; did you mean "flag"?'
    )
    assert message(base, ["wieght"], friend) == (
        'DIR/base.root:Events: there is no branch "wieght"; did you mean "weight"?'
    )
    assert message(base, ["weigth2"], friend) == (
        'DIR/f.0_10.root:Events: there is no branch "weigth2"; did you mean "weight"?'
    )
    assert message(base, ["zzz"]) == 'DIR/base.root:Events: there is no branch "zzz"'
    write_root(base, BASE, tree="Event")
    assert message(base, ["x"]) == (
        'DIR/base.root: there is no tree "Events"; did you mean "Event"?'
    )


def test_an_rntuple_is_called_one(base: Path) -> None:
    with uproot.recreate(base) as file:
        file.mkrntuple("Events", {"x": np.arange(3)})
    assert message(base, ["x"]) == 'DIR/base.root: "Events" is an RNTuple, and a TTree is needed'


def test_friend_trees_by_key_need_a_key(tmp_path: Path) -> None:
    tree = {"name": "f", "branches": [], "data": []}
    path = write_json(tmp_path / "fr.json", {"HCR": tree, "more": {}, "FvT": tree})
    text = f"{path}: holds friend trees by key; write which one: fr.json@@HCR, fr.json@@FvT"
    with pytest.raises(DataError) as error:
        read_friend("fr.json", str(tmp_path))
    assert str(error.value) == text


def test_files_that_are_not_whole_are_refused(base: Path) -> None:
    content = base.read_bytes()
    base.unlink()
    assert message(base, ["x"]) == "DIR/base.root: No such file or directory"
    base.write_bytes(b"not ROOT" * 100)
    assert message(base, ["x"]).startswith("DIR/base.root: not a readable ROOT file: ")
    base.write_bytes(b"")
    assert message(base, ["x"]) == "DIR/base.root: 0 bytes are no ROOT file"
    base.write_bytes(content[:300])
    assert message(base, ["x"]) == "DIR/base.root: 300 bytes are no ROOT file"
    base.write_bytes(content[: len(content) * 2 // 3])
    size = len(content)
    assert message(base, ["x"]) == f"DIR/base.root: truncated: {size * 2 // 3} bytes of {size}"


def test_a_corrupt_basket_is_named_by_its_branch(tmp_path: Path) -> None:
    base = tmp_path / "base.root"
    write_root(base, {"x": np.zeros(1000), "y": np.arange(1000.0)})
    content = bytearray(base.read_bytes())
    at = content.index(b"ZL\x08")
    content[at : at + 30] = b"\xff" * 30
    base.write_bytes(content)
    found = message(base, ["x"])
    assert found.startswith('DIR/base.root:Events: branch "x": cannot be read: ')
    assert read(base, ["y"], stop=1000)["y"][-1] == 999


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        ([], "", "DIR/f.json: friend tree: expected a mapping, got []"),
        ({"ab": {}}, "a", 'DIR/f.json@@a: there is no "a"; did you mean "ab"?'),
        ({"a": [1]}, "a.1", 'DIR/f.json@@a.1: there is no "1"'),
        ({"name": "f"}, "", "DIR/f.json: friend tree: there is no branches"),
        (
            {"name": "f", "branches": [], "data": [[3]]},
            "",
            "DIR/f.json: data[0]: expected a pair of a base file and a list of ranges",
        ),
        (
            {"name": "f", "branches": [], "data": [[{"path": "p", "name": "Events"}, []]]},
            "",
            "DIR/f.json: data[0][0]: there is no uuid",
        ),
    ],
)
def test_json_that_is_no_friend_tree_is_refused(
    tmp_path: Path, value: Any, key: str, expected: str
) -> None:
    write_json(tmp_path / "f.json", value)
    with pytest.raises(DataError) as error:
        read_friend(f"f.json@@{key}" if key else "f.json", str(tmp_path))
    assert str(error.value).replace(str(tmp_path), "DIR") == expected


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_json_is_a_friend_tree_or_refused_in_a_line(data: st.DataObject) -> None:
    file = BaseFile("/data/a.root", "Events", "u")
    rows = [
        Range(0, 4, Chunk("b.root", "Events", "v", 4)),
        Range(4, 9, Chunk("c.root", "Events", "w", 20, 3, 8)),
    ]
    value = mutate(data, to_json("f", ["y", "z"], [(file, rows)]))
    found: list[Range] = []
    text = error_text(lambda: found.extend(parse_friend(value, "f.json").find(file, 9)))
    assert text.isprintable()
    if not text:
        assert [(row.start, row.stop, row.chunk.length) for row in found] == [(0, 4, 4), (4, 9, 5)]


@pytest.mark.parametrize(
    ("first", "last", "length"), [(8, 3, -5), (-1, 4, 5), (18, 23, 5), (2**60, 2**60 + 5, 5)]
)
def test_entries_of_a_chunk_must_lie_in_it(first: int, last: int, length: int) -> None:
    file = BaseFile("/data/a.root", "Events", "u")
    value = to_json("f", [], [(file, [Range(0, 5, Chunk("c", "Events", "w", 20, 0, 5))])])
    chunk = value["data"][0][1][0]["chunk"]
    chunk |= {"entry_start": first, "entry_stop": last}
    with pytest.raises(DataError, match=f"entries 0 to 5 have {length} entries in c$|2\\*\\*53"):
        parse_friend(value, "f.json").find(file, 5)


def test_paths_are_one_line(base: Path) -> None:
    with pytest.raises(SpecError, match=r"^'a\\x00b\.json': not a path of printable characters$"):
        read_friend("a\0b.json", str(base.parent))
    friend = add_friend(base, "f", {"y": np.zeros(10)})
    text = base.with_name("f.json").read_text()
    base.with_name("f.json").write_text(text.replace("f.0_10.root", "f\\n.root"))
    assert "expected printable text" in message(base, ["y"], friend)


def test_broken_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text("{")
    with pytest.raises(DataError, match=r"f\.json: not JSON: Expecting property name"):
        read_friend("f.json", str(tmp_path))
    (tmp_path / "f.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"f\.json: not JSON: maximum recursion depth"):
        read_friend("f.json", str(tmp_path))
    with pytest.raises(DataError, match=r"none\.json: No such file or directory$"):
        read_friend("none.json@@a", str(tmp_path))


def test_a_failing_disk_is_worth_another_try() -> None:
    error = storage_error("a.root", OSError(errno.EIO, "Input/output error"))
    assert isinstance(error, StorageError)
    assert str(error) == "a.root: Input/output error"
    assert isinstance(storage_error("a.root", PermissionError(errno.EACCES, "no")), DataError)


def test_written_json_is_read_back() -> None:
    file = BaseFile("/data/a.root", "Events", "u")
    rows = [Range(0, 5, Chunk("/out/b.root", "Events", "v", 5))]
    value = to_json("SvB", ["p"], [(file, rows)])
    friend = parse_friend(value, "result.json")
    assert friend.find(file, 5) == rows
    assert value["data"][0][1][0]["chunk"]["entry_start"] is None


def test_chunks_are_named_by_the_given_pattern() -> None:
    file = BaseFile("/store/ZZ4b_UL18/picoAOD.chunk0.root", "Events", "u-1")
    default = "{name}_{uuid}_{start}_{stop}.root"
    assert name_chunk(default, "SvB", file, 0, 7) == "SvB_u-1_0_7.root"
    assert name_chunk("{path1}/{path0}.{tree}.root", "SvB", file, 0, 7) == (
        "ZZ4b_UL18/picoAOD.chunk0.Events.root"
    )
    for naming, expected in {
        "{sample}.root": "unknown field in braces; known: name, uuid, tree, start, stop, path0, "
        "path1, ...",
        "{name.x}.root": "unknown field in braces; known: name, uuid, tree, start, stop, path0, "
        "path1, ...",
        "{path9}.root": "/store/ZZ4b_UL18/picoAOD.chunk0.root has no path9",
        "../{name}.root": "not the name of a .root file: ../SvB.root",
        "{name}": "not the name of a .root file: SvB",
    }.items():
        with pytest.raises(SpecError) as error:
            name_chunk(naming, "SvB", file, 0, 7)
        assert str(error.value) == f'naming "{naming}": {expected}'


def test_simulated_files_are_joined_with_a_friend_in_two_files() -> None:
    folder = simulated_data()
    texts = [f"friend.json@@{name}" for name in ("HCR_input", "JCM_weight", "FvT_weight")]
    friends = [read_friend(text, str(folder)) for text in texts]
    path = folder / "data_UL18A" / "picoAOD.root"
    opened: list[str] = []
    branches = ["FvT", "pseudoTagWeight", "event", "CanJet_pt"]
    with open_joined(path, "Events", friends, branches, lambda p, u: opened.append(p.name)) as tree:
        whole = tree.read_flat("FvT", 0, tree.entries)
        middle = tree.read_flat("FvT", 2000, 2200)
        assert tree.read_lists("CanJet_pt", 0, 9).counts.tolist() == [4] * 9
    assert len(whole) == 3492
    assert len(opened) == 5
    np.testing.assert_array_equal(whole[2000:2200], middle)
