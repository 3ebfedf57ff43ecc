"""Settings: one value for each, for a task: command line over task over workflow over default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .defaults import fill_defaults, take_texts
from .diagnostics import Diagnostic, suggest
from .folders import refuse_folder
from .idle import idle_keys
from .nodes import Entry, Node, Scalar, to_plain, without
from .nodes import Mapping as MappingNode
from .parameters import DEFERRED, Binding
from .parse import parse
from .schema import load_schemas, validate
from .template import Substitution, substitute
from .uses import merge_nodes
from .values import Json

SCHEMA = "settings.schema.json"


def read_given(given: Iterable[tuple[str, str]]) -> tuple[list[MappingNode], list[Diagnostic]]:
    """Settings of the command line, ``(name, mapping text)``, each as a mapping of its name."""
    nodes, diagnostics = [], []
    known = load_schemas()[SCHEMA]["properties"]
    for name, text in given:
        if name not in known:
            help = suggest(name, known)
            diagnostics.append(
                Diagnostic("unknown-setting", f'there is no setting "{name}"', None, help)
            )
            continue
        document, problems = parse(text, f"--setting {name}")
        diagnostics += problems
        root = document.root
        if isinstance(root, MappingNode):
            key = Scalar(name, name, False, root.span)
            nodes.append(root.replace({name: Entry(key, root)}))
        elif not problems:
            message = f"--setting {name} takes a mapping, such as {{key: value}}"
            diagnostics.append(Diagnostic("bad-argument", message))
    return nodes, diagnostics


def merge_settings(layers: Iterable[Node | None]) -> MappingNode | None:
    """The settings that are written, later layers over earlier; None if there are none."""
    merged: MappingNode | None = None
    for layer in layers:
        if isinstance(layer, MappingNode):
            joined = merge_nodes(merged, layer) if merged else layer
            merged = joined if isinstance(joined, MappingNode) else merged
    return merged


def effective_settings(
    layers: Iterable[Node | None], bindings: Mapping[str, Binding]
) -> tuple[Json, list[Diagnostic], set[str]]:
    """All settings with their values, later layers over earlier; and the parameters used."""
    merged = merge_settings(layers)
    empty: dict[str, Json] = {name: {} for name in load_schemas()[SCHEMA]["properties"]}
    if merged is None:
        return fill_defaults(empty, SCHEMA), [], set()
    done = _fill(merged, bindings)
    node = take_texts(done.node, SCHEMA)
    diagnostics = list(done.diagnostics) or validate(node, SCHEMA, bound=True)
    diagnostics = diagnostics or _check_base(node)
    plain = {} if diagnostics else to_plain(node)
    diagnostics = diagnostics or idle_keys(node, SCHEMA)
    return fill_defaults({**empty, **plain}, SCHEMA), diagnostics, set(done.used)


def _fill(settings: MappingNode, bindings: Mapping[str, Binding]) -> Substitution:
    """The settings filled; ``{timestamp}`` stays in IO.output, and can stand nowhere else."""
    group = settings.entries.get("IO")
    within = group.value if group else None
    base = within.entries.get("output") if isinstance(within, MappingNode) else None
    if base is None:
        return substitute(settings, bindings)
    done = substitute(_with_base(settings, None), bindings)
    own = substitute(base.value, bindings, DEFERRED)
    node = _with_base(done.node, base._replace(value=own.node))
    return Substitution(node, [*done.diagnostics, *own.diagnostics], done.used | own.used)


def _with_base(settings: Node, base: Entry | None) -> Node:
    """The settings with another IO.output, or without one."""
    if not isinstance(settings, MappingNode):
        return settings
    group = settings.entries["IO"]
    kept = without(group.value, "output") if isinstance(group.value, MappingNode) else group.value
    if base is not None and isinstance(kept, MappingNode):
        kept = kept.replace({**kept.entries, "output": base})
    return settings.replace({**settings.entries, "IO": group._replace(value=kept)})


def _check_base(node: Node) -> list[Diagnostic]:
    """What is wrong with IO.output, the folder of all outputs."""
    group = node.get("IO") if isinstance(node, MappingNode) else None
    value = group.get("output") if isinstance(group, MappingNode) else None
    is_null = isinstance(value, Scalar) and value.value is None
    wrong = refuse_folder(value.text) if isinstance(value, Scalar) and not is_null else None
    if value is None or wrong is None:
        return []
    return [Diagnostic(wrong.code, f'"output" {wrong.reason}', value.span, None, value.notes)]


def unused_settings(node: Node | None, kinds: set[str]) -> list[Diagnostic]:
    """Settings, and keys of settings, that no task of these kinds listens to."""
    if not isinstance(node, MappingNode):
        return []
    known = load_schemas()[SCHEMA]["properties"]
    found: list[Diagnostic] = []
    for name, entry in node.entries.items():
        if name not in known:
            continue
        if not kinds & set(known[name]["x-tasks"]):
            found.append(_unused(f'setting "{name}"', entry.key, known[name]))
        elif isinstance(entry.value, MappingNode):
            keys = known[name]["properties"]
            found += [
                _unused(f'key "{key}" of "{name}"', part.key, keys[key])
                for key, part in entry.value.entries.items()
                if key in keys and not kinds & set(keys[key].get("x-tasks", kinds))
            ]
    return found


def _unused(what: str, key: Scalar, schema: Json) -> Diagnostic:
    message = f"the {what} has no effect here"
    *others, last = schema["x-tasks"]
    kinds = f"{', '.join(others)} and {last}" if others else last
    help = f"it is for {kinds} tasks"
    return Diagnostic("unused-setting", message, key.span, help)
