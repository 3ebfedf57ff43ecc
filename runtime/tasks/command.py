"""Run a program of the user's: results and files in, the files that it leaves out.

It is started without a shell, in the folder of the attempt, with nothing on its standard input;
what it says goes where the job's own words go. Its words arrive as they are written.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, TypeVar, cast

from ..errors import (
    DataError,
    JobError,
    MemoryShortageError,
    PreemptedError,
    SpecError,
    StorageError,
)
from ..job import Context
from ..process import describe_code
from ..result import Attempt, open_attempt
from ..spec import Cell, CommandSpec, Piece
from ..storage import is_url

T = TypeVar("T")
GRACE_S: Final = 10.0
DRAIN_S: Final = 2.0
TOLD_LINES: Final = 3
TOLD_CHARACTERS: Final = 1000
OWN_CODES: Final = (StorageError, MemoryShortageError, PreemptedError)


def run(cells: list[Cell], context: Context) -> None:
    """Make the result of each cell."""
    for cell in cells:
        with open_attempt(cell) as attempt:
            run_command(attempt, context)


def run_command(attempt: Attempt, context: Context) -> None:
    """Run the program of a cell and commit what it left."""
    spec = cast(CommandSpec, attempt.cell.spec)
    inputs = read_inputs(attempt, spec)
    outputs = {name: output_path(attempt, name, path) for name, path in spec.outputs.items()}
    words = list(fill_words(spec.command, inputs, outputs))
    if not words:
        raise SpecError("command: there is no word")
    context.events.progress(attempt.cell.id, "run", 0, 1)
    Program(words, attempt.folder).run()
    files = {name: path for output in outputs for name, path in list_files(output, outputs[output])}
    attempt.commit(files, {"command": words, "outputs": spec.outputs})
    context.events.progress(attempt.cell.id, "run", 1, 1)


def output_path(attempt: Attempt, name: str, path: str) -> Path:
    """Where the program has to write an output; raises :class:`SpecError`."""
    if path.startswith("/") or ".." in path.split("/") or not path.strip("./"):
        raise SpecError(f"output {name!r}: not a path below the task's folder: {path}")
    return attempt.path(path)


def read_inputs(attempt: Attempt, spec: CommandSpec) -> dict[str, list[str]]:
    """The absolute paths or addresses of each input, recorded as what the result was made of."""
    paths: dict[str, list[str]] = {name: [] for name in (*spec.inputs, *spec.files)}
    for name, references in spec.inputs.items():
        for reference in references:
            attempt.read_result(reference.result, reference.hash)
            paths[name].append(_absolute(reference.result))
    for name, files in spec.files.items():
        for file in files:
            attempt.read(file)
            paths[name].append(_absolute(file))
    return paths


def _absolute(path: str) -> str:
    return path if is_url(path) else os.path.abspath(path)  # noqa: PTH100


def fill_words(
    command: Sequence[Sequence[Piece]], inputs: dict[str, list[str]], outputs: dict[str, Path]
) -> Iterator[str]:
    """The words of a command line; raises :class:`SpecError` for one that cannot be made.

    An input that is a word of its own becomes as many words as it has paths.
    """
    for pieces in command:
        if len(pieces) == 1 and pieces[0].input is not None:
            yield from _look_up(pieces[0].input, inputs, "input")
        else:
            yield "".join(_fill(piece, inputs, outputs) for piece in pieces)


def _fill(piece: Piece, inputs: dict[str, list[str]], outputs: dict[str, Path]) -> str:
    if piece.output is not None:
        return str(_look_up(piece.output, outputs, "output"))
    if piece.input is None:
        return piece.text or ""
    paths = _look_up(piece.input, inputs, "input")
    if len(paths) != 1:
        raise SpecError(
            f"command: {{{piece.input}}} stands for {len(paths)} paths here: make it a word of "
            "its own, and it becomes as many words"
        )
    return paths[0]


def _look_up(name: str, known: dict[str, T], kind: str) -> T:
    if name not in known:
        raise SpecError(f"command: there is no {kind} {name!r}; known: {', '.join(known)}")
    return known[name]


@dataclass
class Program:
    """A program that is run to its end in a folder; stopped together with the job."""

    words: list[str]
    folder: Path
    last: deque[str] = field(default_factory=lambda: deque(maxlen=TOLD_LINES))

    def run(self) -> None:
        """Run it; raises :class:`JobError` if it cannot be started or fails.

        Its exit codes 69, 71 and 75 are the job's own: storage that cannot be reached, memory that
        did not suffice, and preemption.
        """
        process = None
        try:
            with hold_signals():
                process = self._start()
            reader = threading.Thread(target=self._follow, args=(process.stderr,), daemon=True)
            reader.start()
            code = process.wait()
            reader.join(DRAIN_S)
        except BaseException:
            if process is not None:
                self._stop(process)
            raise
        if code:
            said = " | ".join(self.last)[-TOLD_CHARACTERS:]
            how = describe_code(code) if code < 0 else f"exit code {code}"
            kinds = {kind.code: kind for kind in OWN_CODES}
            raise kinds.get(code, JobError)(f"{self.words[0]}: {how}: {said or 'it said nothing'}")

    def _start(self) -> subprocess.Popen[bytes]:
        """Start it in the job's own group of processes, if that is the job's alone.

        Whoever kills that group then ends the program too.
        """
        sys.stdout.flush()
        try:
            return subprocess.Popen(
                self.words,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                process_group=None if _leads_group() else 0,
            )
        except FileNotFoundError as error:
            raise SpecError(
                f"command: there is no program {self.words[0]!r}; a relative path starts from the "
                "attempt's folder: name a program of your own as an input"
            ) from error
        except OSError as error:
            raise SpecError(f"command: {self.words[0]!r}: {error.strerror}") from error
        except ValueError as error:
            raise SpecError(f"command: {error}") from error

    def _follow(self, stream: IO[bytes]) -> None:
        """Pass on what it says on standard error, and keep the last lines."""
        with stream:
            for line in stream:
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()
                text = line.decode("utf-8", "replace").strip()
                if text:
                    self.last.append(text)

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        """End the program and what it started: first asked, then killed."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it goes to the job itself too
        group = os.getpid() if _leads_group() else process.pid
        _signal_group(group, signal.SIGTERM)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if group == process.pid:
            _signal_group(group, signal.SIGKILL)


@contextmanager
def hold_signals() -> Iterator[None]:
    """Let signals that stop the job come after the block, when what it starts can be stopped."""
    held: list[int] = []
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, lambda number, _: held.append(number))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in held:
            os.kill(os.getpid(), number)


def _leads_group() -> bool:
    return os.getpgrp() == os.getpid()


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def list_files(name: str, path: Path) -> Iterator[tuple[str, Path]]:
    """The files of an output, by name: itself, or all in a folder, in order.

    Raises :class:`DataError` if it is not there, or anything but files and folders is.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError as error:
        raise DataError(f"output {name!r}: the program left no {path.name}: {path}") from error
    if stat.S_ISREG(mode):
        yield name, path
    elif stat.S_ISDIR(mode):
        for child in sorted(path.iterdir()):
            yield from list_files(f"{name}/{child.name}", child)
    else:
        raise DataError(f"output {name!r}: neither a file nor a folder: {path}")
