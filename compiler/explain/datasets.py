"""One dataset of a cell in, beside the nodes that it was made from; its leaves out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from ..definitions import PER_SAMPLE, BoundDataset
from ..nodes import Mapping as MappingNode
from ..nodes import Node, Scalar, Sequence
from ..values import Json
from .origins import Leaf, Origin, Step, Walk, within
from .recompile import Recompiled

TOLD: Final = ("name", "base", "samples")
OF_DATASET: Final = Step("of the dataset, for all its samples")


class DatasetTrace:
    """One dataset of a cell: its spec beside the nodes that it was made from."""

    def __init__(
        self, recompiled: Recompiled, walk: Walk, bound: BoundDataset, spec: Json, path: str
    ) -> None:
        self.recompiled = recompiled
        self.bound = bound
        self.spec = spec
        self.path = path
        self.walk = walk

    def leaves(self) -> Iterator[Leaf]:
        """The leaves of the dataset, then those of each sample at a year."""
        head, path = self.bound.head, self.path
        yield Leaf(
            f"{path}.name", self.spec["name"], Origin(self.bound.use.span, used=self.walk.used)
        )
        base = head.get("base")
        file = Origin(None, f"the folder of {head.span.file}", used=self.walk.used)
        yield Leaf(f"{path}.base", self.spec["base"], self.walk.written(base) if base else file)
        rest = {key: value for key, value in self.spec.items() if key not in TOLD}
        yield from self.walk.leaves(path, rest, head, "dataset")
        for number, (item, (year, node)) in enumerate(
            zip(self.spec["samples"], self.bound.samples, strict=False)
        ):
            yield from self._sample(f"{path}.samples.{number}", item, year, node)

    def _sample(self, path: str, spec: Json, year: str, node: Node) -> Iterator[Leaf]:
        if not isinstance(node, MappingNode):
            return
        for key, value in spec.items():
            where = f"{path}.{key}"
            if key == "year":
                yield Leaf(where, value, self.walk.written(_year(node, year)))
            elif key == "files":
                yield from self._files(where, value, node)
            elif key in node.entries or key not in PER_SAMPLE:
                one = {key: value}
                yield from self.walk.leaves(path, one, node, "dataset.samples[]")
            else:
                shared = (OF_DATASET,) if key in self.bound.head.entries else ()
                for leaf in self.walk.leaves(path, {key: value}, self.bound.head, "dataset"):
                    yield within(leaf, shared)

    def _files(self, path: str, names: list[str], node: MappingNode) -> Iterator[Leaf]:
        """Each file, and where in another file it is listed."""
        base = self.spec["base"]
        listed: dict[Scalar, Iterator[Step]] = {}
        for number, (name, item) in enumerate(self.recompiled.definer.files(node, base)):
            value = names[number] if number < len(names) else name
            leaf = Leaf(f"{path}.{number}", value, self.walk.written(item))
            if item not in listed:
                listed[item] = self.recompiled.listed(item, base)
            yield within(leaf, tuple(itertools.islice(listed[item], 1)))


def _year(sample: MappingNode, year: str) -> Node:
    years = sample.get("years")
    items = years.items if isinstance(years, Sequence) else ()
    found = [item for item in items if isinstance(item, Scalar) and item.text == year]
    return found[0] if found else (years or sample)
