"""Files at root:// addresses: what is tried again, what is refused, and nothing by halves.

The client is a stand-in here; tests/cluster has a real server.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hcrc.runtime import storage
from hcrc.runtime.clean import remove_result
from hcrc.runtime.data.friend import read_friend
from hcrc.runtime.data.paths import resolve
from hcrc.runtime.data.root import open_tree
from hcrc.runtime.errors import DataError, SpecError, StorageError
from hcrc.runtime.nn.checkpoint import CheckpointFile
from hcrc.runtime.record import fingerprint, load_result
from hcrc.runtime.result import open_attempt
from hcrc.runtime.retire import retire_files
from hcrc.runtime.spec import Cell, PlotSpec
from hcrc.runtime.stale import KnownResults, stale_reason
from hcrc.runtime.storage import Url, fetch, find_place

from .fake_xrootd import GONE, Server, refusal

HOST = "root://host"
FULL = refusal(3009, "Unable to write; no space left on device")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server without files; nobody waits for it."""
    folder = tmp_path / "server"
    folder.mkdir()
    found = Server(folder)
    waits = []
    monkeypatch.setattr(storage, "_client", found.library)
    monkeypatch.setattr(storage.time, "sleep", waits.append)
    found.waits = waits
    return found


def put(server, path, content):
    """A file of the server's own."""
    local = server.local(path)
    local.parent.mkdir(parents=True, exist_ok=True)
    local.write_bytes(content)
    return find_place(f"{HOST}/{path}")


def write(tmp_path, content):
    path = tmp_path / "local"
    path.write_bytes(content)
    return path


def temporaries(server):
    return [path.name for path in server.folder.rglob("*.tmp")]


def remote_cell(folder="/store/cell"):
    spec = PlotSpec(models=[])
    output = f"{HOST}/{folder}"
    return Cell(
        id=folder,
        task="plot",
        axes={},
        output=output,
        hash=f"hash of {folder}",
        spec=spec,
        raw={"models": []},
    )


def test_a_place_is_a_path_or_an_address():
    assert find_place("/a/b") == Path("/a/b")
    url = find_place("root://host:1094//store/./a/../b/c d.root")
    assert isinstance(url, Url)
    assert str(url) == "root://host:1094//store/b/c d.root"
    assert (url.path, url.name) == ("/store/b/c d.root", "c d.root")
    assert str(url.parent / "x" / "y") == "root://host:1094//store/b/x/y"
    assert find_place("root://host//store/a/") / "b" == find_place("root://host//store/a/b")
    with pytest.raises(SpecError, match=r"^s3://a/b: s3:// is not supported; only local files"):
        find_place("s3://a/b")


def test_what_is_relative_lies_beside_its_base():
    assert str(resolve("b/../c.root", "root://host//store/a")) == "root://host//store/a/c.root"
    assert str(resolve("root://other//c.root", "/here")) == "root://other//c.root"
    assert resolve("c.root", "/here") == Path("/here/c.root")


def test_reading_and_what_is_known_of_a_file(server, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "BLOCK", 3)
    url = put(server, "/store/a", b"0123456789")
    assert url.read_bytes() == b"0123456789"
    assert url.stat().st_size == 10
    assert url.stat().st_mtime_ns % 10**9 == 0
    assert fingerprint(str(url)).path == str(url)
    copy = fetch(url)
    assert (copy.name, copy.read_bytes()) == ("a", b"0123456789")
    assert fetch(url) == copy
    assert fetch(tmp_path) == tmp_path
    assert url.exists()
    assert not (url.parent / "b").exists()
    assert list(url.parent.iterdir()) == [url]


def test_an_absent_file_is_no_failure_of_storage(server):
    url = find_place(f"{HOST}//store/none")
    with pytest.raises(FileNotFoundError):
        url.read_bytes()
    for read in (fetch, fingerprint, load_result):
        with pytest.raises(DataError, match=r"^root://host//store/none: .*no such file"):
            read(url)
    with pytest.raises(DataError, match=r"^root://host//store/none: .*no such file"):
        read_friend("none", f"{HOST}//store")
    with (
        pytest.raises(DataError, match=r"^root://host//store/none: .*no such file"),
        open_tree(url, "Events"),
    ):
        pass
    assert server.waits == []


@pytest.mark.parametrize("request_", ["open", "read", "stat"])
def test_reading_is_tried_again_a_few_times(server, tmp_path, request_):
    url = put(server, "/store/a", b"content")
    server.failures[request_] = [GONE, GONE]
    url.fetch(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"content"
    assert server.waits == [1.0, 4.0]
    server.failures[request_] = [GONE, GONE, GONE]
    with pytest.raises(StorageError, match=r"^root://host//store/a: \[FATAL\] Connection error$"):
        url.fetch(tmp_path / "copy")


@pytest.mark.parametrize("request_", ["open", "write", "close", "stat", "mv"])
def test_a_write_that_failed_is_done_again_from_the_start(server, tmp_path, monkeypatch, request_):
    monkeypatch.setattr(storage, "BLOCK", 3)
    url = put(server, "/store/a", b"before")
    server.failures[request_] = [GONE]
    url.store(write(tmp_path, b"0123456789"))
    assert url.read_bytes() == b"0123456789"
    assert server.local(url.path).stat().st_mode & 0o777 == 0o644
    assert server.waits == [1.0]
    assert temporaries(server) == []


@pytest.mark.parametrize("request_", ["open", "write", "close", "stat", "mv"])
@pytest.mark.parametrize("answer", [GONE, FULL, refusal(3010, "permission denied")])
def test_a_write_that_goes_on_failing_leaves_what_was_there(server, tmp_path, request_, answer):
    url = put(server, "/store/a", b"before")
    server.failures[request_] = [answer] * 3
    with pytest.raises(StorageError, match=r"^root://host//store/"):
        url.store(write(tmp_path, b"0123456789"))
    server.failures.clear()
    assert url.read_bytes() == b"before"
    assert temporaries(server) == []


def test_what_arrived_is_held_against_what_was_sent(server, tmp_path):
    url = find_place(f"{HOST}//store/new/a")
    server.spoil = lambda content: content[:-1]
    with pytest.raises(StorageError, match="9 bytes of 10 arrived"):
        url.store(write(tmp_path, b"0123456789"))
    server.spoil = lambda content: content[::-1]
    with pytest.raises(StorageError, match="other bytes arrived than were sent"):
        url.store(write(tmp_path, b"0123456789"))
    assert not url.exists()
    server.checksums = False
    url.store(write(tmp_path, b"0123456789"))
    assert url.read_bytes() == b"9876543210"


def test_a_server_may_not_put_a_file_in_the_place_of_another(server, tmp_path):
    server.replaces = False
    url = put(server, "/store/a", b"before")
    url.store(write(tmp_path, b"after"))
    assert url.read_bytes() == b"after"
    assert temporaries(server) == []


def test_a_folder_is_removed_with_all_that_is_in_it(server):
    url = put(server, "/store/a/b/c", b"").parent.parent
    put(server, "/store/a/d", b"")
    url.remove_tree()
    assert [path.name for path in server.folder.rglob("*")] == ["store"]


def make_result(cell, text="content", fail=None):
    """A result of one file."""
    with open_attempt(cell) as attempt:
        path = attempt.path("sub/a.txt")
        path.write_text(text)
        assert attempt.address(path) == f"{cell.output}/{attempt.name}/sub/a.txt"
        if fail is not None:
            fail()
        return attempt.commit({"a": path}, {})


def test_a_result_at_an_address(server, tmp_path):
    cell = remote_cell()
    assert stale_reason(cell) == "no result yet"
    first = make_result(cell)
    known = KnownResults()
    assert stale_reason(cell, known) is None
    assert known.identify(f"{cell.output}/result.json") == (first.uuid, cell.id)
    second = make_result(cell, "other")
    found = load_result(f"{cell.output}/result.json")
    assert (found.uuid, found.path("a").read_text()) == (second.uuid, "other")
    assert str(found.place("a")) == f"{cell.output}/{second.attempt}/sub/a.txt"
    kept = {path.name for path in server.local("/store/cell").iterdir()}
    assert kept == {"result.json", second.attempt}
    found.place("a").unlink()
    assert stale_reason(cell) == f"output {second.attempt}/sub/a.txt is gone"


def test_an_attempt_that_fails_leaves_the_result_before(server, tmp_path):
    cell = remote_cell()
    first = make_result(cell)
    server.failures["mv"] = [None, GONE, GONE, GONE]  # the file arrives, result.json does not
    with pytest.raises(StorageError):
        make_result(cell, "other")
    assert load_result(f"{cell.output}/result.json").uuid == first.uuid
    assert stale_reason(cell) is None
    kept = {path.name for path in server.local("/store/cell").iterdir()}
    assert kept == {"result.json", first.attempt}


def test_unreachable_is_not_unchanged(server, tmp_path):
    cell = remote_cell()
    make_result(cell)
    server.failures["open"] = [GONE] * 3
    with pytest.raises(StorageError, match="Connection error"):
        stale_reason(cell)


def test_files_of_a_result_are_retired_and_results_removed(server, tmp_path):
    cell, heir = remote_cell(), remote_cell("/store/heir")
    result = make_result(cell)
    assert retire_files(result, ["a"], make_result(heir)) == len("content")
    assert stale_reason(cell) is None
    assert not server.local(f"/store/cell/{result.attempt}").exists()
    put(server, "/store/cell/.result.json.abc.tmp", b"")
    put(server, "/store/cell/mine", b"")
    remove_result(find_place(cell.output), find_place(f"{HOST}//store"))
    remove_result(find_place(heir.output), find_place(f"{HOST}//store"))
    left = [path.name for path in server.folder.rglob("*")]
    assert sorted(left) == ["cell", "mine", "store"]


def test_a_checkpoint_at_an_address(server):
    said = []
    url = find_place(f"{HOST}//store/cell/.hcrc-checkpoint.pt")
    file = CheckpointFile(url, "key", said.append)
    assert file.load() is None
    file.save({"epoch": 3})
    assert file.load() == {"epoch": 3}
    assert temporaries(server) == []
    server.local(url.path).write_bytes(b"torn")
    assert file.load() is None
    assert len(said) == 1


def test_a_friend_tree_is_read_from_an_address(server):
    value = {"name": "f", "branches": ["y"], "data": []}
    put(server, "/store/f.json", json.dumps({"set": value}).encode())
    friend = read_friend("f.json@@set", f"{HOST}//store")
    assert (friend.name, friend.base) == ("f", "root://host//store")


def test_without_the_client_its_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "XRootD", None)
    storage._client.cache_clear()
    with pytest.raises(SpecError, match="root:// needs the package xrootd"):
        find_place(f"{HOST}//store/a").stat()
    storage._client.cache_clear()
