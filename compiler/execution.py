"""How jobs of a task run: its ``resources``, ``environment``, worker counts and settings.

In come the plain values of those keys, out comes the ``execution`` of ``job.schema.json``,
without what is as it is by default.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from typing import Any, Final

from .defaults import task_schema
from .diagnostics import Diagnostic, Span
from .nodes import Mapping, Node, Scalar
from .schema import load_schemas

Json = Any
ROLE: Final = "x-role"
SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}
RESOURCES: Final = ("cpus", "memory", "disk", "gpus", "walltime")
LEAST: Final = {"memory": "at least 1 MB", "disk": "at least 1 MB", "walltime": "more than 0 s"}
AMOUNT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)")


@functools.cache
def execution_keys(kind: str) -> tuple[str, ...]:
    """The keys of a kind of task that say how its jobs run, and change no result."""
    properties = task_schema(kind)["properties"]
    return tuple(key for key in properties if is_execution(properties[key]))


def is_execution(schema: Json) -> bool:
    """Whether a key changes no result, as its schema or the one that it refers to says."""
    target = schema
    if schema.get("$ref", "").startswith("#/$defs/"):
        target = load_schemas()["workflow.schema.json"]["$defs"][schema["$ref"].rpartition("/")[2]]
    return "execution" in (schema.get(ROLE), target.get(ROLE))


def make_execution(kind: str, value: Json, settings: Json) -> Json:
    """The execution of a task's jobs; ``value`` has the task's own keys, defaults filled in."""
    resources = value["resources"]
    found = {
        "cpus": resources["cpus"],
        "memory_mb": memory_mb(resources["memory"]),
        "gpus": resources["gpus"],
        "device": value.get("device", "auto"),
        "disk_mb": None if resources["disk"] is None else memory_mb(resources["disk"]),
        "walltime_s": None if resources["walltime"] is None else seconds(resources["walltime"]),
        "environment": {
            name: str(text) for name, text in value["environment"]["variables"].items()
        },
        **_monitoring(settings),
        **_workers(kind, value, settings),
    }
    defaults = load_schemas()["job.schema.json"]["properties"]["execution"]["properties"]
    return {
        key: item
        for key, item in found.items()
        if "default" not in defaults[key] or item != defaults[key]["default"]
    }


def _workers(kind: str, value: Json, settings: Json) -> Json:
    """What is done at the same time, and how much at a time."""
    loader = settings["torch.DataLoader"]
    eval, skim = {"batch_eval": loader["batch_eval"]}, {"batch_skim": loader["batch_skim"]}
    files = max(1, loader["num_workers"])
    match kind:
        case "cache":
            loaders = value.get("max_loaders", files)
            return {"max_loaders": loaders, "max_writers": value["max_writers"], **skim}
        case "train":
            loaders = value.get("max_loaders", files)
            return {"max_loaders": loaders, "max_trainers": value.get("max_trainers"), **eval}
        case "evaluate":
            skim = {"batch_skim": value.get("step", loader["batch_skim"])}
            return {"max_evaluators": value.get("max_evaluators", files), **skim, **eval}
        case "merge":
            workers = value.get("workers", settings["Analysis"]["max_workers"])
            return {"workers": workers, "clean": value["clean"]}
    return {}


def _monitoring(settings: Json) -> Json:
    """What jobs tell of themselves, and to whom."""
    monitor, usage, log = (settings[name] for name in ("Monitor", "monitor.Usage", "monitor.Log"))
    used = monitor["enable"] and monitor["address"] is not None
    address = str(monitor["address"])
    return {
        "monitor": {
            "address": address if ":" in address else f":{address}",
            "connect": monitor["connect"],
        }
        if used
        else None,
        "usage_interval_s": usage["interval"] if usage["enable"] else None,
        "log_level": log["level"],
        "forward_exception": log["forward_exception"],
        "timestamp": settings["IO"]["timestamp"],
    }


def memory_mb(value: Json) -> int:
    """Megabytes of a request: a number is in MB, a string says its unit."""
    if isinstance(value, int):
        return value
    number, unit = _amount(value)
    return round(number * (1000 if unit == "GB" else 1))


def seconds(value: str) -> float:
    """Seconds of a time with its unit: s, min, h or d."""
    number, unit = _amount(value)
    return number * SECONDS[unit]


def amount(key: str, value: Json) -> float:
    """How much one of the resources is: in MB, in seconds, or a count."""
    if key == "walltime":
        return seconds(value)
    return memory_mb(value) if key in ("memory", "disk") else value


def too_small(resources: Node | None, wrong: Collection[Span | None] = ()) -> list[Diagnostic]:
    """Amounts with a unit that are nothing, ``0 GB``; the schema says what else is ``wrong``."""
    entries = resources.entries if isinstance(resources, Mapping) else {}
    kept = [key for key in LEAST if key in entries and entries[key].value.span not in wrong]
    nodes = {key: entries[key].value for key in kept}
    return [
        Diagnostic(
            "out-of-bounds",
            f'"{key}" is {node.text}, expected {LEAST[key]}',
            node.span,
            notes=node.notes,
        )
        for key, node in nodes.items()
        if isinstance(node, Scalar) and node.value is not None and not amount(key, node.value)
    ]


def _amount(text: str) -> tuple[float, str]:
    found = AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no amount with a unit")
    return float(found[1]), found[2]
