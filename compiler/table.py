"""The cells of one task as a table: a row for each point of its axes, of which hashes alone stay.

Ids, folders and specs are written from the axes' values each time that they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import chain, islice
from typing import Final, NamedTuple

from .folders import axis_text
from .grid import Grid, Places, Ranked
from .hashing import Hasher, digest_part
from .pattern import ByPlace, Each, Parts, Pattern, Values, write_object
from .values import HASH_BYTES, AxisValue, Json, canonical, digest_each, escape

REFERENCE: Final = ("cell", "hash", "result")
BATCH: Final = 1000


class Keyed(NamedTuple):
    """What a key stands for, by place on the axes that it draws on."""

    grid: Grid
    values: ByPlace


class Cell(NamedTuple):
    """One point of a task's axes: its folder, its spec, and the hash of what decides it."""

    table: CellTable
    number: int

    @property
    def id(self) -> str:
        """The readable id: ``train[offset=3]``."""
        return self.table.id.text(self.number)

    @property
    def axes(self) -> dict[str, AxisValue]:
        """The point."""
        return self.table.grid.point(self.number)

    @property
    def output(self) -> str:
        """The folder of its results."""
        return self.table.output.text(self.number)

    @property
    def hash(self) -> str:
        """The hash of what decides its results."""
        return self.table.hash(self.number)

    @property
    def spec(self) -> dict[str, Json]:
        """The whole spec."""
        table = self.table
        spec = {key: table.value(key, self.number) for key in table.keys}
        return spec | {slot.key: slot.references(self.number) for slot in table.slots}

    def reference(self) -> dict[str, Json]:
        """The cell as the specs of those that read it have it."""
        return {"cell": self.id, "hash": self.hash, "result": f"{self.output}/result.json"}

    def to_json(self) -> Json:
        """The cell as ``schemas/job.schema.json`` has it."""
        return {
            "id": self.id,
            "axes": self.axes,
            "output": self.output,
            "hash": self.hash,
            "spec": self.spec,
        }


class Reading(NamedTuple):
    """The cells of another task that each cell reads: one, or all that it ``gathers``.

    They are numbered from a place of the cell's own, by ``steps``. ``name`` is that of an input.
    """

    key: str
    name: str | None
    gathers: bool
    table: CellTable
    places: Places
    steps: range | Sequence[int]

    def numbers(self, number: int) -> Sequence[int]:
        """The numbers of what a cell reads, in order."""
        first, steps = self.places[number], self.steps
        if isinstance(steps, range):
            return range(first + steps.start, first + steps.stop, steps.step)
        if self.gathers and self.table.grid.kept is not None:
            ranks = self.table.grid.ranks
            return [ranks[first + step] for step in steps if first + step in ranks]
        return [first + step for step in steps]

    def references(self, number: int) -> list[Json]:
        """What a cell reads, as its spec has it."""
        return [Cell(self.table, each).reference() for each in self.numbers(number)]

    def write(self, fields: Sequence[str] = REFERENCE) -> Parts:
        """The JSON of some fields of each, with commas between."""
        reference = self.table.reference(fields)
        if self.gathers:
            return (References(self, reference),)
        if self.places.is_fixed:
            return (reference.text(0),)
        if self.places.is_plain:
            return reference.parts
        return (Selected(reference, self.places),)


class Selected:
    """Texts of another task's cells: of the one at each place."""

    def __init__(self, pattern: Pattern, places: Places) -> None:
        self.pattern = pattern
        self.places = places

    def __iter__(self) -> Iterator[str]:
        return map(self.pattern.text, self.places)

    def pieces(self, number: int) -> Iterator[str]:
        """One of the texts."""
        return self.pattern.pieces(self.places[number])


class Digests:
    """The digests of texts, as they stand in hashes."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern

    def __iter__(self) -> Iterator[str]:
        return (f'"{each.hex()}"' for each in digest_each(self.pattern))

    def pieces(self, number: int) -> tuple[str]:
        """One of the digests."""
        return (digest_part(self.pattern.pieces(number)),)


class HexColumn:
    """The hashes of a table's cells, in hex."""

    def __init__(self, table: CellTable) -> None:
        self.table = table

    def __iter__(self) -> Iterator[str]:
        hashes, step = self.table.hashes, BATCH * HASH_BYTES
        batches = (hashes[start : start + step] for start in range(0, len(hashes), step))
        return chain.from_iterable(batch.hex(" ", HASH_BYTES).split() for batch in batches)

    def pieces(self, number: int) -> tuple[str]:
        """One of the hashes."""
        return (self.table.hash(number),)


class References:
    """All that each cell gathers, with commas between: in pieces, since it may be a whole task."""

    def __init__(self, reading: Reading, pattern: Pattern) -> None:
        self.reading = reading
        self.pattern = pattern

    def __iter__(self) -> Iterator[str]:
        return ("".join(self.pieces(number)) for number in range(self.reading.places.size))

    def pieces(self, number: int) -> Iterator[str]:
        """What one cell gathers."""
        numbers = self.reading.numbers(number)
        whole = numbers == range(self.pattern.size)
        texts = iter(self.pattern) if whole else map(self.pattern.text, numbers)
        comma = ""
        while batch := list(islice(texts, BATCH)):
            yield comma + ",".join(batch)
            comma = ","


class Slot(NamedTuple):
    """What stands under a key of a spec: a reference, a list of them, or lists by name."""

    key: str
    readings: tuple[Reading, ...]

    def references(self, number: int) -> Json:
        """What stands in the spec of a cell."""
        if self._is_single():
            return self.readings[0].references(number)[0]
        found = {
            name: [item for reading in readings for item in reading.references(number)]
            for name, readings in self._by_name().items()
        }
        return found.get(None, found)

    def write(self, fields: Sequence[str]) -> Parts:
        """The JSON of it, with some fields of each reference."""
        if self._is_single():
            return self.readings[0].write(fields)
        lists: dict[str | None, Parts] = {}
        for name, readings in self._by_name().items():
            parts = [part for reading in readings for part in (",", *reading.write(fields))]
            lists[name] = ("[", *parts[1:], "]")
        if None in lists:
            return lists[None]
        return write_object({name: parts for name, parts in lists.items() if name is not None})

    def write_hashed(self, fields: Sequence[str]) -> Parts:
        """What of it enters hashes."""
        places = self.readings[0].places
        pattern = Pattern(self.write(fields), places.size)
        if all(reading.places.is_fixed for reading in self.readings):
            return (digest_part(pattern.pieces(0)),)
        if self._is_single():
            return (Digests(pattern),)
        return (Each(lambda number: digest_part(pattern.pieces(number)), pattern.size),)

    def _is_single(self) -> bool:
        first = self.readings[0]
        return not first.gathers and first.name is None

    def _by_name(self) -> dict[str | None, list[Reading]]:
        found: dict[str | None, list[Reading]] = {}
        for reading in self.readings:
            found.setdefault(reading.name, []).append(reading)
        return found


class CellTable:
    """The cells of a task, by number: what each key and each reference stands for at each point.

    ``head`` is the folder that the task's ``output`` gives, below which the axes ``in_path`` have
    folders of their own.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        grid: Grid,
        keys: Mapping[str, Keyed],
        readings: tuple[Reading, ...],
        head: Keyed,
        in_path: tuple[str, ...],
    ) -> None:
        self.name = name
        self.kind = kind
        self.grid = grid
        self.keys = keys
        self.readings = readings
        self.head = head
        self.in_path = in_path

    @property
    def slots(self) -> list[Slot]:
        """The keys of the spec that hold what is read."""
        keys = dict.fromkeys(reading.key for reading in self.readings)
        return [
            Slot(key, tuple(reading for reading in self.readings if reading.key == key))
            for key in keys
        ]

    def __len__(self) -> int:
        return self.grid.size

    def __iter__(self) -> Iterator[Cell]:
        return (Cell(self, number) for number in range(len(self)))

    @cached_property
    def id(self) -> Pattern:
        """The readable ids; nothing in them needs an escape."""
        axes = [part for name in self.grid.axes for part in (",", f"{name}=", self._texts[name])]
        return self._pattern((self.name, "[", *axes[1:], "]") if axes else (self.name,))

    @cached_property
    def output(self) -> Pattern:
        """The folders."""
        return self._pattern(self._folder(str))

    @cached_property
    def hashes(self) -> bytes:
        """The hashes of all cells, one after the other; made when they are first asked for."""
        hasher = Hasher(self.kind)
        parts = {
            key: self._parts(item, partial(hasher.part, key)) for key, item in self.keys.items()
        }
        for slot in self.slots:
            parts[slot.key] = slot.write_hashed(hasher.reference_fields(slot.key))
        found = bytearray()
        for each in digest_each(self._pattern(hasher.join(parts))):
            found += each
        return bytes(found)

    def hash(self, number: int) -> str:
        """The hash of a cell, in hex."""
        return self.hashes[HASH_BYTES * number : HASH_BYTES * (number + 1)].hex()

    def value(self, key: str, number: int) -> Json:
        """What a key that is no reference stands for in a cell."""
        keyed = self.keys[key]
        return keyed.values[self.grid.places(keyed.grid)[number]]

    def reference(self, fields: Sequence[str]) -> Pattern:
        """Some fields of what stands for the cells in those that read them, as JSON."""
        texts: dict[str, Parts] = {
            "cell": ('"', *self.id.parts, '"'),
            "hash": ('"', self._hashes, '"'),
            "result": ('"', *self._folder(escape), '/result.json"'),
        }
        return self._pattern(write_object({name: texts[name] for name in fields}))

    def write(self) -> Pattern:
        """The cells as JSON: each is ``canonical(cell.to_json())``."""
        axes: dict[str, Parts] = {name: (column,) for name, column in self._jsons.items()}
        spec = {key: self._parts(item, canonical) for key, item in self.keys.items()}
        spec |= {slot.key: slot.write(REFERENCE) for slot in self.slots}
        entries: dict[str, Parts] = {
            "axes": write_object(axes),
            "hash": ('"', self._hashes, '"'),
            "id": ('"', *self.id.parts, '"'),
            "output": ('"', *self._folder(escape), '"'),
            "spec": write_object(spec),
        }
        return self._pattern(write_object(entries))

    @cached_property
    def _texts(self) -> dict[str, Values]:
        """The axes' values as they stand in ids and folders."""
        return {name: self._axis(name, axis_text) for name in self.grid.axes}

    @cached_property
    def _jsons(self) -> dict[str, Values]:
        """The axes' values as JSON; where that is the same text, the same column."""
        return {
            name: texts if texts.write is str else self._axis(name, canonical)
            for name, texts in self._texts.items()
        }

    def _axis(self, name: str, write: Callable[[Json], str]) -> Values:
        values = self.grid.axes[name]
        write = str if set(map(type, values)) == {int} else write
        return Values(values, write, self.grid.places(self.grid.part((name,))))

    @cached_property
    def _hashes(self) -> HexColumn:
        return HexColumn(self)

    def _folder(self, write: Callable[[str], str]) -> Parts:
        folders = [part for name in self.in_path for part in (f"/{name}=", self._texts[name])]
        return (*self._parts(self.head, write), *folders)

    def _parts(self, keyed: Keyed, write: Callable[[Json], str]) -> Parts:
        if not keyed.grid.axes:
            return (write(keyed.values[0]),)
        for name in keyed.grid.axes:
            if write is canonical and keyed.values is self.grid.axes[name]:
                return (self._jsons[name],)
        return (Values(keyed.values, write, self.grid.places(keyed.grid)),)

    def _pattern(self, parts: Parts) -> Pattern:
        return Pattern(parts, len(self))


def read_cells(grid: Grid, key: str, name: str | None, gathers: bool, table: CellTable) -> Reading:
    """What the cells on a grid read of another task: where both have an axis, its value there.

    The other task has every value of the axes that both have, and those alone if none is gathered.
    """
    shared = {
        name: _positions(grid.axes[name], table.grid, name)
        for name in table.grid.axes
        if name in grid.axes
    }
    steps: range | Sequence[int] = range(len(table) if gathers else 1)
    if gathers and shared:
        rest = [name for name in table.grid.axes if name not in shared]
        steps = list(Places(table.grid.part(rest), {name: table.grid.steps(name) for name in rest}))
    places = Places(grid, shared)
    if table.grid.kept is not None and not gathers:
        places = Ranked(places, table.grid.ranks)
    return Reading(key, name, gathers, table, places, steps)


def _positions(values: Sequence[AxisValue], grid: Grid, name: str) -> Sequence[int]:
    """What each of some values of an axis adds to the number of a point of a grid."""
    if values is grid.axes[name]:
        return grid.steps(name)
    texts = map(axis_text, grid.axes[name])
    found = dict(zip(texts, grid.steps(name), strict=True))
    return [found[axis_text(value)] for value in values]
