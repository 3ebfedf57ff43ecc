"""The headers of the files that datasets read: specs in; entries, types and what is missing out.

Every branch that a selection, a weight or the network names is looked for where the reading would
look for it: in the last friend tree that has it, else in the base file. No entry is read. What is
wrong with a file is told beside it, and the others are read all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final

from .data.expression import parse
from .data.friend import BaseFile, FriendTree, Range, read_friend
from .data.paths import resolve, suggest
from .data.root import Tree, open_tree
from .errors import JobError, SpecError
from .spec import Dataset, Sample
from .strict import read

MAX_INPUT: Final = 256 * 1024 * 1024


@dataclass(frozen=True)
class OpenedFriend:
    """A file of a friend tree: the entries that it has, and how many branches."""

    name: str
    path: str
    entries: int
    branches: int


@dataclass
class OpenedFile:
    """What the headers of a file and its friends say, and what is wrong with them.

    ``columns`` are the branches that are asked for: their types, and the tree that has them.
    """

    path: str
    sample: str
    year: str
    entries: int | None = None
    branches: int | None = None
    friends: list[OpenedFriend] = field(default_factory=list)
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The file as the compiler's half reads it."""
        columns = {name: {"type": kind, "in": tree} for name, (kind, tree) in self.columns.items()}
        friends = [vars(friend) for friend in self.friends]
        return {**vars(self), "friends": friends, "columns": columns}


def read_request(text: str) -> list[Dataset]:
    """The datasets in ``{"datasets": [spec, …]}``; raises :class:`SpecError`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"standard input: not JSON: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("datasets"), list):
        raise SpecError('standard input: expected {"datasets": [...]}')
    return [
        read(Dataset, each, f"datasets[{number}]") for number, each in enumerate(value["datasets"])
    ]


def inspect_datasets(datasets: list[Dataset]) -> dict[str, Any]:
    """The headers of all files, by dataset in their order."""
    text = resources.files("hcrc.schemas").joinpath("inputs.json").read_text("utf-8")
    table = json.loads(text)
    always = (*table["network"], *table["event"])
    return {
        "datasets": [
            {"name": each.name, "files": [file.to_json() for file in _inspect(each, always)]}
            for each in datasets
        ]
    }


def _inspect(dataset: Dataset, always: tuple[str, ...]) -> Iterator[OpenedFile]:
    friends: dict[str, FriendTree | JobError] = {}
    for text in dict.fromkeys(text for sample in dataset.samples for text in sample.friends):
        try:
            friends[text] = read_friend(text, dataset.base)
        except JobError as error:
            friends[text] = error
    for sample in dataset.samples:
        found = [friends[text] for text in sample.friends]
        known = [each for each in found if isinstance(each, FriendTree)]
        broken = [str(each) for each in found if isinstance(each, JobError)]
        for name in sample.files:
            file = OpenedFile(name, sample.sample, sample.year, errors=list(broken))
            try:
                _open(file, dataset, _wanted(sample, always), known)
            except JobError as error:
                file.errors.append(str(error))
            yield file


def _wanted(sample: Sample, always: tuple[str, ...]) -> list[str]:
    """The branches that a sample is read for; raises :class:`SpecError`."""
    texts = [text for text in (sample.selection, sample.weight) if text]
    named = [branch for text in texts for branch in parse(text).branches]
    return list(dict.fromkeys([*named, *always]))


def _open(file: OpenedFile, dataset: Dataset, wanted: list[str], friends: list[FriendTree]) -> None:
    """Open a file and its friends, and look for the branches; raises :class:`JobError`."""
    path = resolve(file.path, dataset.base)
    file.path = str(path)
    with ExitStack() as stack:
        tree = stack.enter_context(open_tree(path, dataset.tree))
        file.entries = tree.entries
        base = _types(tree)
        file.branches = len(base)
        columns = {name: (kind, str(tree)) for name, kind in base.items()}
        complete = True
        for friend in friends:
            try:
                found = _open_friend(stack, file, friend, tree)
            except JobError as error:
                file.errors.append(str(error))
                complete = False
                continue
            columns |= {name: found[name] for name in friend.branches if name in found}
        for branch in wanted:
            if branch in columns:
                file.columns[branch] = columns[branch]
            elif complete:
                near = suggest(branch, columns)
                file.errors.append(f'{tree}: there is no branch "{branch}"{near}')


def _open_friend(
    stack: ExitStack, file: OpenedFile, friend: FriendTree, tree: Tree
) -> dict[str, tuple[str, str]]:
    """The branches that all files of a friend tree have that go with a base file.

    What one of them lacks, of the branches that it should have, is an error of the file.
    """
    base = BaseFile(str(tree.path), tree.name, tree.uuid)
    common: dict[str, tuple[str, str]] | None = None
    for row in friend.find(base, tree.entries):
        chunk = _open_chunk(stack, friend, row)
        types = _types(chunk)
        file.friends.append(OpenedFriend(friend.name, str(chunk.path), chunk.entries, len(types)))
        for branch in friend.branches:
            if branch not in types:
                near = suggest(branch, types)
                file.errors.append(f'{chunk}: there is no branch "{branch}"{near}')
        found = {name: (kind, str(chunk)) for name, kind in types.items()}
        common = found if common is None else {key: common[key] for key in common if key in found}
    return common or {}


def _open_chunk(stack: ExitStack, friend: FriendTree, row: Range) -> Tree:
    chunk = row.chunk
    tree = stack.enter_context(open_tree(resolve(chunk.path, friend.base), chunk.name))
    if (tree.uuid, tree.entries) != (chunk.uuid, chunk.num_entries):
        raise SpecError(
            f"{tree}: {tree.entries} entries, uuid {tree.uuid}, where {friend.source} has "
            f"{chunk.num_entries}, {chunk.uuid}"
        )
    return tree


def _types(tree: Tree) -> dict[str, str]:
    """The branches of a tree, with their types as C++ writes them."""
    return {name: str(kind) for name, kind in tree.handle.typenames(recursive=False).items()}
