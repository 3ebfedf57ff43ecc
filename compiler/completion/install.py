"""A user's completion for one shell: its file, and where a shell needs it, a block in its rc file.

Everything that is written says so in itself, and names the folders that were made for it: it can be
written again without a difference, and taken away without a trace. What others wrote stays.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

SHELLS: Final = ("bash", "zsh", "fish")
PROGRAM: Final = "hcrc"
MARK: Final = "# hcrc completion install wrote this file; folders made for it:"
BEGIN: Final = "# >>> hcrc completion >>>"
BEGIN_NEW: Final = "# >>> hcrc completion, with this file >>>"
END: Final = "# <<< hcrc completion <<<"
BLOCK: Final = re.compile(
    rb"\n# >>> hcrc completion(, with this file)? >>>\n.*?\n# <<< hcrc completion <<<\n", re.S
)
# Fish runs what is typed, so that bin/hcrc answers for itself.
FISH_PROGRAM: Final = "env (commandline -opc)[1]"
COMPINIT: Final = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }"
# The function of bash-completion that looks for a command's file, before and since version 2.12.
HAS_LOADER: Final = "declare -F _completion_loader || declare -F _comp_load"
LOADER_S: Final = 10


class Places(NamedTuple):
    """Where a shell's completion goes; ``rc`` is None for a shell that needs no line there."""

    file: Path
    rc: Path | None
    line: str


def find_places(shell: str, environment: Mapping[str, str]) -> Places:
    """The places of a shell for the user of an environment; raises RuntimeError without a home."""
    home = Path(environment["HOME"]) if environment.get("HOME") else Path.home()
    data = _folder(environment, "XDG_DATA_HOME", home / ".local" / "share")
    if shell == "fish":
        config = _folder(environment, "XDG_CONFIG_HOME", home / ".config")
        return Places(config / "fish" / "completions" / "hcrc.fish", None, "")
    if shell == "zsh":
        file = data / "zsh" / "site-functions" / "_hcrc"
        rc = _folder(environment, "ZDOTDIR", home) / ".zshrc"
        line = f"fpath=({shlex.quote(str(file.parent))} $fpath); {COMPINIT}"
        return Places(file, rc, f"{line}; autoload -Uz _hcrc && compdef _hcrc hcrc")
    folder = _folder(environment, "BASH_COMPLETION_USER_DIR", data / "bash-completion")
    file = folder / "completions" / "hcrc"
    quoted = shlex.quote(str(file))
    return Places(file, home / ".bashrc", f"[ -r {quoted} ] && . {quoted}")


def _folder(environment: Mapping[str, str], name: str, otherwise: Path) -> Path:
    text = environment.get(name, "")
    return Path(text) if os.path.isabs(text) else otherwise


def shell_code(shell: str) -> str:
    """What a shell reads to complete hcrc: argcomplete's function for it."""
    from argcomplete.shell_integration import shellcode

    script = FISH_PROGRAM if shell == "fish" else None
    return shellcode([PROGRAM], shell=shell, argcomplete_script=script).strip() + "\n"


def printed_code(shell: str) -> str:
    """The same for ``eval`` in a shell that runs."""
    return f"{COMPINIT}\n{shell_code(shell)}" if shell == "zsh" else shell_code(shell)


def install(shell: str, places: Places) -> list[Path]:
    """Write what is not there yet; returns the files that hold it.

    Raises FileExistsError where another file is in the way.
    """
    file, rc = places.file, places.rc
    made = _made_folders(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = f"{shell_code(shell)}{MARK} {shlex.join(map(str, made))}".rstrip() + "\n"
    _replace(file, text.encode())
    if rc is None or (shell == "bash" and not _has_block(rc) and _loads_by_itself()):
        return [file]
    _add_block(rc, places.line)
    return [file, rc]


def uninstall(shells: Iterable[Places]) -> list[Path]:
    """Take away what :func:`install` wrote; returns the files that held it."""
    found: list[Path] = []
    made: set[Path] = set()
    for places in shells:
        if places.rc is not None and _has_block(places.rc):
            _remove_block(places.rc)
            found.append(places.rc)
        if _is_ours(places.file):
            made.update(_made_folders(places.file))
            places.file.unlink()
            found.append(places.file)
    for folder in sorted(made, key=lambda folder: len(folder.parts), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return found


def _is_ours(file: Path) -> bool:
    return file.is_file() and MARK.encode() in file.read_bytes()


def _made_folders(file: Path) -> list[Path]:
    """The folders that were made for a file, or have to be, outermost first."""
    if _is_ours(file):
        last = file.read_text("utf-8").splitlines()[-1]
        return [Path(name) for name in shlex.split(last.removeprefix(MARK))]
    if os.path.lexists(file):
        raise FileExistsError(17, "not written by hcrc completion install: left alone", str(file))
    return [folder for folder in reversed(file.parents) if not folder.exists()]


def _loads_by_itself() -> bool:
    """Whether an interactive bash of the user looks into the folder of completions."""
    command = ["bash", "-ic", HAS_LOADER]
    null = subprocess.DEVNULL
    try:
        run = subprocess.run(
            command,
            stdin=null,
            stdout=null,
            stderr=null,
            timeout=LOADER_S,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0


def _has_block(rc: Path) -> bool:
    return rc.is_file() and BLOCK.search(rc.read_bytes()) is not None


def _add_block(rc: Path, line: str) -> None:
    """Append the block, or write it anew where it stands."""
    data = rc.read_bytes() if rc.exists() else b""
    there = BLOCK.search(data)
    new = there[1] is not None if there else not rc.exists()
    block = f"\n{BEGIN_NEW if new else BEGIN}\n{line}\n{END}\n".encode()
    rc.parent.mkdir(parents=True, exist_ok=True)
    _replace(rc, data[: there.start()] + block + data[there.end() :] if there else data + block)


def _remove_block(rc: Path) -> None:
    data = rc.read_bytes()
    there = BLOCK.search(data)
    if there is None:
        return
    rest = data[: there.start()] + data[there.end() :]
    if there[1] and not rest:
        rc.unlink()
    else:
        _replace(rc, rest)


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole, through a link and with its mode; not at all if nothing changes."""
    target = path.resolve()
    if target.is_file() and target.read_bytes() == data:
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
