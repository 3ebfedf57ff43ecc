"""A real HTCondor pool on this machine: a Debian of its own below /var/cache, and daemons in it.

Debian 12 has no HTCondor and Debian 13 has, so the pool lives in a chroot. Its processes and its
mounts are in namespaces of their own, held by one process that ends when its input does: however
the tests end, the kernel ends the daemons and their jobs and takes the mounts away. Jobs are those
of an ordinary user, who sees the python that runs the tests, the repository and the shared folder
at their own paths. ``python tests/cluster/pool.py`` builds the Debian, or says what that needs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

HERE: Final = Path(__file__).resolve().parent
REPOSITORY: Final = HERE.parents[1]
CACHE: Final = Path(os.environ.get("HCRC_POOL") or "/var/cache/hcrc-pool")
USER: Final = "hcrc"
USER_ID: Final = 21473
NAMESPACES: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
LIBRARIES: Final = ("torch", "uproot", "awkward", "matplotlib")
PATIENCE_S: Final = 300.0
CONFIGURATION: Final = """\
UID_DOMAIN = localpool
FILESYSTEM_DOMAIN = localpool
TRUST_DOMAIN = localpool
TRUST_UID_DOMAIN = True
COLLECTOR_HOST = 127.0.0.1:{port}
ENABLE_IPV6 = False
SEC_DEFAULT_AUTHENTICATION_METHODS = FS, IDTOKENS
NUM_CPUS = 4
MEMORY = 8192
USE_PROCD = False
# The starter cannot mount anything for a job inside a chroot: it would hold every one.
MOUNT_UNDER_SCRATCH =
MOUNT_PRIVATE_DEV_SHM = False
DAGMAN_USER_LOG_SCAN_INTERVAL = 1
NEGOTIATOR_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
NEGOTIATOR_MIN_INTERVAL = 1
SCHEDD_INTERVAL = 1
PERIODIC_EXPR_INTERVAL = 2
# A startd that crashes, as one did when a job was released at once, keeps its job for so long.
JOB_DEFAULT_LEASE_DURATION = 20
"""


class PoolError(Exception):
    """There is no pool: the message says what is missing, or what went wrong."""


class Pool:
    """A pool that runs: commands in it are those of its ordinary user."""

    def __init__(self, root: Path, shared: Path, process: int) -> None:
        self.root = root
        self.shared = shared
        self.process = process

    def run(
        self, argv: Sequence[str | Path], cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the pool to its end, and keep what it prints."""
        home = self.shared / "home"
        environment = {
            "HOME": home,
            "USER": USER,
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONPATH": "/opt",
        }
        inside = ["nsenter", f"--target={self.process}", "--mount", "--pid", "--root"]
        user = [f"--setuid={USER_ID}", f"--setgid={USER_ID}"]
        words = [f"{name}={value}" for name, value in environment.items()]
        line = [*inside, *user, "/usr/bin/env", "-i", "-C", cwd or home, *words, *argv]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=1000)

    def folder(self, name: str) -> Path:
        """Make a folder in the shared one; it is the user's."""
        path = self.shared / name
        path.mkdir()
        os.chown(path, USER_ID, USER_ID)
        return path


def build(cache: Path = CACHE) -> Path:
    """The Debian with HTCondor, made the first time and when its recipe changes."""
    _require()
    with _locked(cache) as lock:
        return _build(cache, lock)


@contextmanager
def start(cache: Path = CACHE) -> Iterator[Pool]:
    """Hold a pool that runs; one at a time on a machine, so another one is waited for."""
    _require()
    with _locked(cache) as lock:
        root = _build(cache, lock)
        _configure(root)
        shared = _clear(cache / "shared")
        words = [word for pair in _seen_inside(shared) for word in pair]
        keeper = subprocess.Popen(
            [*NAMESPACES, HERE / "start.sh", root, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # an interrupt is for the tests: they end it
            pass_fds=[lock.fileno()],
        )
        with keeper:
            try:
                yield _wait_until_ready(root, shared, _read_process(keeper))
            finally:
                _pipe(keeper.stdin).close()


def _require() -> None:
    if os.geteuid() != 0:
        raise PoolError("the cluster tests need root: they start HTCondor in a chroot")
    if shutil.which("debootstrap"):
        return
    if not shutil.which("apt-get"):
        raise PoolError("the cluster tests need Debian, or debootstrap: they build one")
    _checked(["apt-get", "update"])
    _checked(["apt-get", "install", "--yes", "debootstrap"])


@contextmanager
def _locked(cache: Path) -> Iterator[IO[str]]:
    """Hold the folder; processes that inherit the file hold it as long as they live."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _build(cache: Path, lock: IO[str]) -> Path:
    recipe = HERE / "build.sh"
    root = cache / f"trixie-{hashlib.sha256(recipe.read_bytes()).hexdigest()[:12]}"
    if not root.is_dir():
        for earlier in cache.glob("trixie-*"):
            shutil.rmtree(earlier)
        new = root.with_name(f"{root.name}-new")
        _checked([*NAMESPACES, recipe, new, USER, str(USER_ID)], lock.fileno())
        new.rename(root)
    return root


def _checked(argv: Sequence[str | Path], *descriptors: int) -> None:
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        pass_fds=descriptors,
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-20:])
        raise PoolError(f"{shlex.join(map(str, argv))}: exit code {done.returncode}\n{last}")


def _configure(root: Path) -> None:
    """Write what differs from Debian's own configuration; the port is one that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = CONFIGURATION.format(port=port)
    (root / "etc/condor/config.d/99-local").write_text(text)
    link = root / "opt/hcrc"
    link.unlink(missing_ok=True)
    link.symlink_to(REPOSITORY)


def _clear(folder: Path) -> Path:
    """The folder without what an earlier pool left. In /tmp, DAGMan would refuse to run."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    return folder


def _seen_inside(shared: Path) -> Iterator[tuple[str, str]]:
    """What the pool sees at its own path, read-only or not.

    A python of the system's comes as its library and its file, by each name that leads to it, which
    hides what Debian has there; any other one comes as its whole folder.
    """
    whole = [Path(sys.prefix), Path(sys.base_prefix)]
    if sys.base_prefix == "/usr":
        whole[1] = Path(sysconfig.get_path("stdlib"))
    for path in (Path("/etc/hosts"), REPOSITORY, *whole):
        yield "ro", str(path)
    for name in _names(Path(sys.executable)):
        if not any(name.is_relative_to(folder) for folder in whole):
            yield "ro", str(name)
    yield "rw", str(shared)


def _names(path: Path) -> Iterator[Path]:
    """A file's path, and those that it leads to by symbolic links."""
    yield path
    while path.is_symlink():
        path = path.parent / path.readlink()
        yield path


def _read_process(keeper: subprocess.Popen[str]) -> int:
    said = _pipe(keeper.stdout).readline().strip()
    if not said.isdigit():
        rest = _pipe(keeper.stdout).read()
        raise PoolError(f"the pool does not start, exit code {keeper.wait()}: {said}\n{rest}")
    return int(said)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def _wait_until_ready(root: Path, shared: Path, process: int) -> Pool:
    pool = Pool(root, shared, process)
    pool.folder("home")
    code = f"import importlib\nfor name in {LIBRARIES}: assert importlib.util.find_spec(name), name"
    found = pool.run([sys.executable, "-c", code])
    if found.returncode:
        raise PoolError(
            f"jobs cannot run {sys.executable}, or it lacks a library (they are an ordinary"
            f" user's, who has to be allowed to read it):\n{found.stderr}"
        )
    end = time.monotonic() + PATIENCE_S
    while not pool.run(["condor_status", "-autoformat", "Name"]).stdout.strip():
        if time.monotonic() > end:
            log = (root / "var/log/condor/MasterLog").read_text().splitlines()
            raise PoolError("the pool does not get ready:\n" + "\n".join(log[-20:]))
        time.sleep(0.2)
    return pool


def main() -> int:
    """Build the Debian of the pool."""
    try:
        build()
    except PoolError as error:
        print(f"hcrc: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
