"""Whether the machine can run what has to run at all, before anything starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .agenda import Todo
from .bundle import Request
from .errors import JobError


class CapacityError(JobError):
    """Jobs that ask for more than there is, with what to do about it."""

    code = 1


@dataclass(frozen=True)
class Capacity:
    """All that a run may use at a time; ``gpus`` by the names CUDA_VISIBLE_DEVICES takes."""

    cpus: int
    memory_mb: int
    gpus: tuple[str, ...]


def pick_gpus(gpus: tuple[str, ...], device: str | None) -> tuple[str, ...]:
    """The GPUs that ``--device`` leaves; raises :class:`CapacityError` if there is no such one."""
    if device == "cpu":
        return ()
    if device is None or not device.startswith("cuda:"):
        return gpus
    number = int(device.removeprefix("cuda:"))
    if number >= len(gpus):
        raise CapacityError(f"--device {device}: this machine has {count_noun(len(gpus), 'GPU')}")
    return gpus[number : number + 1]


def wanted_gpus(todo: Todo, device: str | None) -> int:
    """How many GPUs a job wants, on the device that it will be told to use."""
    chosen = device or todo.device
    if chosen == "cpu":
        return 0
    return max(1, todo.request.gpus) if chosen.startswith("cuda") else todo.request.gpus


def fit_requests(
    todos: Iterable[Todo], capacity: Capacity, device: str | None
) -> tuple[dict[int, Request], list[str]]:
    """What each job is given, by number, and notes on jobs that get fewer GPUs than they ask for.

    Raises :class:`CapacityError` that names all tasks that can never run.
    """
    errors: dict[str, None] = {}
    notes: dict[str, None] = {}
    given: dict[int, Request] = {}
    for todo in todos:
        gpus = wanted_gpus(todo, device)
        fitting = min(gpus, len(capacity.gpus))
        given[todo.number] = replace(todo.request, gpus=fitting)
        errors.update(dict.fromkeys(_excesses(todo, capacity)))
        if fitting == 0 < gpus and (device or todo.device).startswith("cuda"):
            errors[f"{todo.task} is to run on {device or todo.device} and there is no GPU"] = None
        elif fitting < gpus:
            place = count_noun(fitting, "GPU") if fitting else "the CPU"
            notes[f"{todo.task} asks for {count_noun(gpus, 'GPU')}: runs on {place}"] = None
    if errors:
        raise CapacityError("; ".join(errors))
    return given, list(notes)


def _excesses(todo: Todo, capacity: Capacity) -> list[str]:
    found = []
    if todo.request.cpus > capacity.cpus:
        found.append(
            f"{todo.task} asks for {count_noun(todo.request.cpus, 'core')} and the run has "
            f"{capacity.cpus}: give -j {todo.request.cpus}, or ask for fewer in its resources"
        )
    if todo.request.memory_mb > capacity.memory_mb:
        found.append(
            f"{todo.task} asks for {todo.request.memory_mb} MB of memory and the run has "
            f"{capacity.memory_mb}: give --memory {todo.request.memory_mb}, or ask for less"
        )
    return found


def count_noun(number: int, noun: str) -> str:
    """A number of things: ``1 core``, ``2 cores``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
