"""What this machine has for jobs: cores, memory and GPUs, and who has them now."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .bundle import Request

MEMORY_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Share:
    """What a job got: cores, memory, and GPUs by the names that CUDA_VISIBLE_DEVICES takes."""

    cpus: int
    memory_mb: int
    gpus: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """The variables that keep a process to its share."""
        threads = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
        return {
            **{f"{name}_NUM_THREADS": str(self.cpus) for name in threads},
            "VECLIB_MAXIMUM_THREADS": str(self.cpus),
            "CUDA_VISIBLE_DEVICES": ",".join(self.gpus),
        }


class Pool:
    """The cores, memory and GPUs that no job has now."""

    def __init__(self, cpus: int, memory_mb: int, gpus: tuple[str, ...]) -> None:
        self._cpus = cpus
        self._memory_mb = memory_mb
        self._gpus = list(gpus)

    def fits(self, request: Request) -> bool:
        """Whether so much is free."""
        return (
            request.cpus <= self._cpus
            and request.memory_mb <= self._memory_mb
            and request.gpus <= len(self._gpus)
        )

    def take(self, request: Request) -> Share:
        """A share of this size; it has to fit."""
        gpus = tuple(self._gpus[: request.gpus])
        del self._gpus[: request.gpus]
        self._cpus -= request.cpus
        self._memory_mb -= request.memory_mb
        return Share(request.cpus, request.memory_mb, gpus)

    def give_back(self, share: Share) -> None:
        """Free a share."""
        self._cpus += share.cpus
        self._memory_mb += share.memory_mb
        self._gpus += share.gpus


def count_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measure_memory_mb() -> int:
    """The machine's memory, or the container's limit where that is less."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # no such limit: no file, or "max"
        physical = min(physical, int(MEMORY_LIMIT.read_text("ascii")))
    return physical // 1_000_000


def list_gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The GPUs, or parts of GPUs, that a job may be given."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip() not in ("", "-1"))
    try:
        answer = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):  # no driver: no GPU
        return ()
    return parse_gpus(answer.stdout)


def parse_gpus(listing: str) -> tuple[str, ...]:
    """The names in what ``nvidia-smi -L`` prints: of a GPU that is divided, those of its parts."""
    names: list[str] = []
    for line in listing.splitlines():
        found = re.search(r"\(UUID: ([^)]+)\)", line)
        if found is None:
            continue
        if line.startswith(" ") and names and names[-1].startswith("GPU-"):
            names.pop()
        names.append(found[1])
    return tuple(names)
