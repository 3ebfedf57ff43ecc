"""Checks of datasets and classifiers that no schema can say, once their templates are filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from .diagnostics import Diagnostic, Note, Span, suggest
from .expressions import check_expression, list_names
from .nodes import Entry, Mapping, Node, Scalar, Sequence, span_within

EXPRESSIONS: Final = ("selection", "weight")
HCR: Final = "HCR"
TAKEN: Final = ("q_1234", "q_1324", "q_1423")


class Read(NamedTuple):
    """A file that a dataset reads with a selection; ``use`` and ``item`` say where that stands."""

    path: str
    tree: str
    selection: str | None
    use: Span
    item: Scalar


def check_reads(reads: Iterable[Read]) -> list[Diagnostic]:
    """Events that one task reads twice: one message for each dataset that reads them again."""
    first: dict[tuple[str, str, str | None], Read] = {}
    found: dict[Span, Diagnostic] = {}
    for read in reads:
        before = first.setdefault((read.path, read.tree, read.selection), read)
        if before is read or read.use in found:
            continue
        same = before.use == read.use
        span = read.item.span if same else read.use
        note: Note = ("first here", before.item.span if same else before.use)
        message = f"events of {read.path} are read twice, with the same selection"
        notes = (*read.item.notes, note) if same else (note,)
        found[read.use] = Diagnostic("read-twice", message, span, notes=notes)
    return list(found.values())


def check_expressions(node: Node) -> list[Diagnostic]:
    """Selections, weights and columns of a dataset or a sample have to be expressions."""
    values = [(key, node.get(key)) for key in EXPRESSIONS] if isinstance(node, Mapping) else []
    columns = node.get("columns") if isinstance(node, Mapping) else None
    prescale = node.get("prescale") if isinstance(node, Mapping) else None
    if isinstance(prescale, Mapping):
        values += [("selection", prescale.get("among")), ("weight", prescale.get("weight"))]
    if isinstance(columns, Mapping):
        values += [("column", entry.value) for _, entry in columns.items()]
    return [
        problem
        for key, value in values
        if isinstance(value, Scalar) and isinstance(value.value, str)
        for problem in _check_expression(value, key)
    ]


def _check_expression(node: Scalar, key: str) -> Iterator[Diagnostic]:
    if not node.text.strip():
        yield Diagnostic("empty-value", "an expression is empty", node.span, None, node.notes)
        return
    for fault in check_expression(node.text, key):
        span = node.span if node.filled else span_within(node, fault.start, fault.end)
        yield Diagnostic(fault.code, fault.message, span, fault.help, node.notes)


def check_classifier(node: Node) -> list[Diagnostic]:
    """Classes that ROCs and outputs name have to be there; names of both have to differ."""
    if not isinstance(node, Mapping):
        return []
    classes = [item.text for item in _texts(node.get("classes"))]
    rocs, outputs = node.get("rocs"), node.get("outputs")
    found: list[Diagnostic] = []
    names: dict[str, Scalar] = {}
    for roc in rocs.items if isinstance(rocs, Sequence) else ():
        if isinstance(roc, Mapping):
            found += [*_check_roc(roc, classes), *_check_roc_name(roc.get("name"), names)]
            found += check_expressions(roc)
    found += _check_loss(node.get("loss"), classes)
    if isinstance(outputs, Mapping):
        found += _check_outputs(outputs, classes)
    return found + list(_check_model(node))


def _check_loss(loss: Node | None, classes: list[str]) -> Iterator[Diagnostic]:
    """The selections of a loss are expressions, and its masks are of classes."""
    masks = loss.get("masks") if isinstance(loss, Mapping) else None
    for part in (loss, *(masks.items if isinstance(masks, Sequence) else ())):
        if isinstance(part, Mapping):
            yield from check_expressions(part)
            yield from _unknown(_texts(part.get("classes")), classes)


def _check_model(node: Mapping) -> Iterator[Diagnostic]:
    """HCR has an architecture, a class of the user's own has options."""
    model = node.get("model")
    is_own = isinstance(model, Scalar) and model.text != HCR
    key = "architecture" if is_own else "options"
    if key in node.entries:
        text = "of the network HCR" if is_own else "for a model of your own"
        help = "write them as options" if is_own else "name its entry point as model"
        span = node.entries[key].key.span
        yield Diagnostic("conflicting-keys", f'"{key}" is {text}', span, help)


def _check_roc(roc: Mapping, classes: list[str]) -> Iterator[Diagnostic]:
    """The classes of a ROC, each on one side."""
    positive, negative = _texts(roc.get("positive")), _texts(roc.get("negative"))
    yield from _unknown([*positive, *negative], classes)
    sides = {item.text: item for item in positive}
    for item in negative:
        if item.text in sides and item.text in classes:
            message = f'class "{item.text}" is positive and negative'
            notes = (*item.notes, ("positive here", sides[item.text].span))
            yield Diagnostic("roc-overlap", message, item.span, None, notes)


def _check_roc_name(name: Node | None, names: dict[str, Scalar]) -> Iterator[Diagnostic]:
    if isinstance(name, Scalar):
        first = names.setdefault(name.text, name)
        if first is not name:
            notes = (*name.notes, ("first here", first.span))
            message = f'ROC "{name.text}" is there twice'
            yield Diagnostic("duplicate-roc", message, name.span, None, notes)


def _check_outputs(outputs: Mapping, classes: list[str]) -> Iterator[Diagnostic]:
    """Outputs are branches beside those of every classifier, and their spreads.

    An expression draws on these, and on the outputs before it.
    """
    branches = [*TAKEN, *(f"p_{name}" for name in classes)]
    spreads = {f"{name}_std" for name in (*branches, *outputs.entries)}
    before = list(branches)
    for name, entry in outputs.items():
        yield from _unknown(_texts(entry.value), classes)
        if isinstance(entry.value, Scalar):
            yield from _check_output(entry.value, before)
        before.append(name)
        if name in branches:
            yield _taken(entry, "is there already")
        elif name in spreads:
            yield _taken(entry, "is the name of a spread, which merge writes")


def _check_output(node: Scalar, columns: list[str]) -> Iterator[Diagnostic]:
    """An output that is an expression over columns."""
    problems = list(_check_expression(node, "output"))
    yield from problems
    for name, start, end in [] if problems else list_names(node.text):
        if name not in columns:
            span = node.span if node.filled else span_within(node, start, end)
            message = f'no column before this output is called "{name}"'
            yield Diagnostic("unknown-column", message, span, suggest(name, columns), node.notes)


def _taken(entry: Entry, why: str) -> Diagnostic:
    message = f'the output "{entry.key.text}" {why}'
    return Diagnostic("taken-branch", message, entry.key.span)


def _unknown(names: list[Scalar], classes: list[str]) -> Iterator[Diagnostic]:
    for name in names:
        if name.text not in classes:
            message = f'there is no class "{name.text}"'
            help = suggest(name.text, classes)
            yield Diagnostic("unknown-class", message, name.span, help, name.notes)


def _texts(node: Node | None) -> list[Scalar]:
    items = node.items if isinstance(node, Sequence) else ()
    return [item for item in items if isinstance(item, Scalar)]
