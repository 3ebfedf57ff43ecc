"""A real XRootD server on this machine's loopback, for the tests that ask for one."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

USER: Final = "nobody"
READY_S: Final = 30.0
CONFIGURATION: Final = """\
all.export /store
oss.localroot {folder}/data
xrd.port {port}
xrd.network nodnr
all.adminpath {folder}/admin
all.pidpath {folder}/admin
xrootd.chksum adler32
"""


def install() -> None:
    """Install the server's package where it is not there."""
    if shutil.which("xrootd") is None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "--yes", "xrootd-server"]):
            command = ["apt-get", "--quiet", *words]
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class XRootD:
    """A server that exports ``folder/data/store`` as ``/store``; run as nobody, never as root."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of ``/store``."""
        return f"root://127.0.0.1:{self.port}//store"

    @property
    def store(self) -> Path:
        """The folder that ``/store`` is."""
        return self.folder / "data" / "store"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        for part in (self.store, self.folder / "admin"):
            part.mkdir(parents=True, exist_ok=True)
        self._give_away()
        configuration = self.folder / "xrootd.cfg"
        configuration.write_text(CONFIGURATION.format(folder=self.folder, port=self.port))
        log = self.folder / "admin" / "log"
        words = ["xrootd", "-c", str(configuration), "-l", str(log), "-I", "v4"]
        user = USER if os.geteuid() == 0 else None
        self.process = subprocess.Popen(
            words, user=user, cwd=self.folder / "admin", start_new_session=True
        )
        self._wait(log)

    def _give_away(self) -> None:
        """Let the server's user write, and reach, its folders."""
        if os.geteuid() != 0:
            return
        account = pwd.getpwnam(USER)
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
        for parent in self.folder.parents[:-1]:
            parent.chmod(parent.stat().st_mode | 0o011)

    def _wait(self, log: Path) -> None:
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        said = log.read_text() if log.exists() else "no log"
        raise RuntimeError(f"xrootd does not answer: {said[-2000:]}")

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
