"""Definitions: named datasets and classifiers, merged with what a use overrides, made concrete.

In come nodes of the workflow and its includes, out come the dataset and classifier specs of
``schemas/job.schema.json``, or Diagnostics at the places that are wrong.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from .check_definitions import Read, check_classifier, check_expressions, check_reads
from .defaults import fill_defaults, take_texts
from .diagnostics import Diagnostic, Span, errors_of
from .folders import expand_home, is_url, join_location
from .nodes import Entry, Node, Scalar, Sequence, to_plain, without
from .nodes import Mapping as MappingNode
from .parameters import Binding
from .ranges import range_of
from .schema import validate
from .sources import SELECT, Sources
from .template import substitute
from .uses import Use, Uses
from .values import Json
from .workflow import Workflow

YEAR: Final = "year"
INDEX: Final = "XXX"
HCR: Final = "HCR"
DATASET: Final = "dataset.schema.json"
CLASSIFIER: Final = "classifier.schema.json"
SAMPLE: Final = f"{DATASET}#/$defs/sample"
YEARS: Final = f"{SAMPLE}/properties/years"
PER_SAMPLE: Final = ("friends", "selection", "weight")
SAMPLE_FIELDS: Final = ("sample", "year", "label", "group", "files", *PER_SAMPLE)
# What a spec leaves out where it says nothing, so that it is that of a file without the key.
UNSAID: Final[Mapping[str, Json]] = {"selection": None, "score": "sum"}

# Samples, each at one of its years, which comes first.
Samples = tuple[tuple[str, Node], ...]


class BoundDataset(NamedTuple):
    """A use of a dataset with its templates filled: its samples one a year, and the rest of it.

    Samples that are left out are not among them.
    """

    use: Use
    head: MappingNode
    samples: Samples


class Definer:
    """Makes uses of definitions concrete; ``diagnostics`` and ``used`` gather on the way.

    ``used`` holds the names of the parameters and axes that the definitions drew on.
    """

    def __init__(
        self, sources: Sources, workflow: Workflow, environment: Mapping[str, str]
    ) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.used: set[str] = set()
        self._sources = sources
        self._uses = Uses(workflow, environment, sources.current)

    def resolve(self, kind: str, use: Node) -> Use | None:
        """The dataset or classifier that a use names; None if there is none, or it is wrong."""
        found = self._uses.resolve(kind, use)
        self.diagnostics += self._uses.take_diagnostics()
        return found

    def classifier(self, use: Use, bindings: Mapping[str, Binding]) -> Json:
        """The classifier spec of a use; None after diagnostics."""
        node = self.bind_classifier(use, bindings)
        if node is None:
            return None
        before = len(self.diagnostics)
        self.diagnostics += check_classifier(node)
        plain = fill_defaults(to_plain(node), CLASSIFIER)
        unsaid = ("help", "model", "options") if plain["model"] == HCR else ("help",)
        spec = {"name": use.name, **{key: plain[key] for key in plain if key not in unsaid}}
        spec["rocs"] = [_say(roc) for roc in spec["rocs"]]
        if spec["loss"] is None or not (spec["loss"]["selection"] or spec["loss"]["masks"]):
            del spec["loss"]
        return None if errors_of(self.diagnostics[before:]) else spec

    def datasets(self, uses: Iterable[Use], bindings: Mapping[str, Binding]) -> Json:
        """The dataset specs of uses; None after diagnostics. No event is read twice."""
        before = len(self.diagnostics)
        reads: list[Read] = []
        bound = [self.bind_dataset(use, bindings) for use in uses]
        specs = [self._spec(dataset, reads) for dataset in bound if dataset is not None]
        if not errors_of(self.diagnostics[before:]):
            self.diagnostics += check_reads(reads)
        return None if errors_of(self.diagnostics[before:]) else specs

    def bind_classifier(self, use: Use, bindings: Mapping[str, Binding]) -> Node | None:
        """The classifier of a use with its templates filled; None after diagnostics."""
        node = self._bind(use.node, {**bindings, **use.bindings}, CLASSIFIER)
        return None if node is None or self._invalid(node, CLASSIFIER) else node

    def bind_dataset(self, use: Use, bindings: Mapping[str, Binding]) -> BoundDataset | None:
        """The dataset of a use with its templates filled; None after diagnostics."""
        bindings = {**bindings, **use.bindings}
        entry = use.node.entries.get("samples")
        head = self._bind(without(use.node, "samples"), bindings, DATASET)
        items = entry.value.items if entry and isinstance(entry.value, Sequence) else ()
        samples = [self._years(item, bindings) for item in items]
        complete = [sample for sample in samples if sample is not None]
        if not isinstance(head, MappingNode) or len(complete) < len(samples):
            return None
        whole = head
        if entry and isinstance(entry.value, Sequence):
            filled = entry.value._replace(items=tuple(years[0][1] for years in complete))
            whole = head.replace({**head.entries, "samples": Entry(entry.key, filled)})
        elif entry:
            whole = head.replace({**head.entries, "samples": entry})
        if self._invalid(whole, DATASET):
            return None
        there, left_out = _divide(year for years in complete for year in years)
        for _, node in left_out:
            self.diagnostics += check_expressions(node)
        if not there:
            self.diagnostics.append(_no_samples(use, left_out[0][1]))
            return None
        before = len(self.diagnostics)
        numbered = [(year, each) for year, node in there for each in self._indices(node)]
        return BoundDataset(use, head, tuple(numbered)) if before == len(self.diagnostics) else None

    def _bind(self, node: Node, bindings: Mapping[str, Binding], schema: str) -> Node | None:
        """The node with its templates filled; None after diagnostics."""
        done = substitute(node, bindings)
        self.diagnostics += done.diagnostics
        self.used |= done.used
        return None if done.diagnostics else take_texts(done.node, schema)

    def _invalid(self, node: Node, schema: str) -> bool:
        problems = validate(node, schema, bound=True)
        self.diagnostics += problems
        return bool(problems)

    def _years(
        self, sample: Node, bindings: Mapping[str, Binding]
    ) -> list[tuple[str, Node]] | None:
        """A sample for each of its years, with ``{year}`` filled; None after diagnostics.

        One without a list of years is there once, for the schema to speak about.
        """
        entry = sample.entries.get("years") if isinstance(sample, MappingNode) else None
        years = self._bind(entry.value, bindings, YEARS) if entry else None
        if not isinstance(sample, MappingNode) or entry is None or years is None:
            bound = None if entry else self._bind(sample, bindings, SAMPLE)
            return None if bound is None else [("", bound)]
        rest = without(sample, "years")
        found: list[tuple[str, Node]] = []
        for item in _texts(years) or [Scalar("", "", True, years.span)]:
            year = {**bindings, YEAR: Binding(item.text, item, item.span)}
            bound = self._bind(rest, year, SAMPLE)
            if not isinstance(bound, MappingNode):
                return None
            whole = bound.replace({**bound.entries, "years": Entry(entry.key, years)})
            found.append((item.text, whole))
        return found

    def _spec(self, dataset: BoundDataset, reads: list[Read]) -> Json:
        """The spec of a dataset; what it reads is added to ``reads``."""
        use, head = dataset.use, dataset.head
        plain = fill_defaults(to_plain(head), DATASET)
        self.diagnostics += check_expressions(head)
        base, tree = self.base(head), plain["tree"]
        specs = []
        for year, node in dataset.samples:
            self.diagnostics += check_expressions(node)
            spec = {key: plain[key] for key in PER_SAMPLE} | to_plain(node) | {"year": year}
            spec.setdefault("group", spec["label"])
            files = self.files(node, base)
            spec["files"] = [name for name, _ in files]
            columns = {**plain["columns"], **spec.get("columns", {})}
            kept = {key: spec[key] for key in SAMPLE_FIELDS}
            if columns:
                kept["columns"] = {name: str(value) for name, value in columns.items()}
            prescale = spec.get("prescale")
            if prescale is not None and prescale["by"] > 1:
                kept["prescale"] = {"among": None, "weight": "weight", **prescale}
            specs.append(kept)
            for name, item in files:
                path = join_location(base, name)
                reads.append(Read(path, tree, spec["selection"], use.span, item))
        return {
            "name": use.name,
            "base": base,
            "tree": tree,
            "samples": specs,
            "norm": _norm(plain["norm"]),
            "max_workers": plain["max_workers"],
        }

    def folder(self, span: Span) -> Path:
        """The folder of the file that a span lies in."""
        return self._sources.folder(span)

    def base(self, node: MappingNode) -> str:
        """The folder or URL that a dataset's relative paths start from, absolute."""
        base = node.get("base")
        if not isinstance(base, Scalar):
            return str(self._sources.folder(node.span))
        if is_url(base.text):
            return base.text.rstrip("/")
        if str(expand_home(base.text)).startswith("~"):
            self.diagnostics.append(
                Diagnostic(
                    "unknown-user", '"base" names an unknown user', base.span, None, base.notes
                )
            )
        folder = self._sources.folder(base.span) / expand_home(base.text)
        return os.path.normpath(folder)

    def files(self, sample: Node, base: str) -> list[tuple[str, Scalar]]:
        """Names of a sample's files, relative to the base as they are written, and their places."""
        node = sample.get("files") if isinstance(sample, MappingNode) else None
        found: list[tuple[str, Scalar]] = []
        for item in node.items if isinstance(node, Sequence) else (node,):
            if isinstance(item, Scalar):
                listed = SELECT in item.text
                names = self._sources.select(item, item.text, base) if listed else [item.text]
                found += [(_normal(name), item) for name in names]
        return self._numbered(sample, found)

    def _numbered(self, sample: Node, files: list[tuple[str, Scalar]]) -> list[tuple[str, Scalar]]:
        """The files with the index of the sample in their names, if it has one."""
        index = sample.get("indices") if isinstance(sample, MappingNode) else None
        if not isinstance(index, Scalar) or index.value is None:
            return files
        for item in dict.fromkeys(item for name, item in files if INDEX not in name):
            message = f"a file of several indices has no {INDEX} in its path to stand for them"
            notes = (*item.notes, ("the indices are here", index.span))
            self._say_once(Diagnostic("unnumbered-file", message, item.span, None, notes))
        return [(name.replace(INDEX, index.text), item) for name, item in files]

    def _indices(self, sample: Node) -> list[Node]:
        """A sample for each of its indices, with the index in its name; itself without any."""
        entry = sample.entries.get("indices") if isinstance(sample, MappingNode) else None
        if not isinstance(sample, MappingNode) or entry is None or to_plain(entry.value) is None:
            return [sample]
        name, found = sample.entries["sample"], list[Node]()
        for number in range_of(entry.value):
            if isinstance(number, Diagnostic):
                self._say_once(number)
                continue
            text = str(to_plain(name.value)).replace(INDEX, str(number))
            span = entry.value.span
            entries = {
                "indices": entry._replace(value=Scalar(number, str(number), False, span)),
                "sample": name._replace(value=Scalar(text, text, True, name.value.span)),
            }
            found.append(sample.replace({**sample.entries, **entries}))
        return found

    def _say_once(self, diagnostic: Diagnostic) -> None:
        """Add what is said of every year of a sample."""
        if diagnostic not in self.diagnostics:
            self.diagnostics.append(diagnostic)


def _divide(samples: Iterable[tuple[str, Node]]) -> tuple[Samples, Samples]:
    """The samples of a dataset that are there, and those that are left out."""
    found: tuple[list[tuple[str, Node]], list[tuple[str, Node]]] = ([], [])
    for year, node in samples:
        enable = node.get("enable") if isinstance(node, MappingNode) else None
        left_out = isinstance(enable, Scalar) and enable.value is False
        found[left_out].append((year, node))
    return tuple(found[0]), tuple(found[1])


def _no_samples(use: Use, first: Node) -> Diagnostic:
    """What is said of a dataset all of whose samples are left out."""
    message = f'all samples of "{use.name}" are left out'
    enable = first.get("enable") if isinstance(first, MappingNode) else None
    notes = (("the first one here", enable.span), *enable.notes) if enable else ()
    return Diagnostic("no-samples", message, use.span, notes=notes)


def _say(roc: Json) -> Json:
    """A ROC without what it is anyway."""
    return {key: roc[key] for key in roc if key not in UNSAID or roc[key] != UNSAID[key]}


def _norm(value: Json) -> Json:
    """The norm of a spec: a number alone is the sum of the whole dataset."""
    return {"sum": value, "by": "dataset"} if isinstance(value, (int, float)) else value


def _normal(name: str) -> str:
    return name if "://" in name else os.path.normpath(name)


def _texts(node: Node) -> list[Scalar]:
    items = node.items if isinstance(node, Sequence) else ()
    return [item for item in items if isinstance(item, Scalar)]
