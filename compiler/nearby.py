"""A path that cannot be read in, what was probably meant out: files beside it, or that ship."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from .diagnostics import nearest
from .files import Files
from .shipped import workflows_folder

SUFFIXES: Final = (".yml", ".yaml")
PLAN: Final = "plan.json"
SHOWN: Final = 5


def help_for_workflow(path: Path, shown: str, files: Files) -> str | None:
    """What to name in place of a workflow that is not there, or is a folder.

    ``shown`` is the path as its user knows it.
    """
    inside = files.list_names(path)
    if PLAN in inside:
        return "it is a bundle, which run, clean, diff, why and trace take: name its workflow"
    if inside:
        found = [str(Path(shown, name)) for name in inside if name.endswith(SUFFIXES)]
        more = ", …" * (len(found) > SHOWN)
        return f"name a file in it: {', '.join(found[:SHOWN])}{more}" if found else None
    close = nearest_file(Path(shown), files.list_names(path.parent))
    shipped = sorted(file.stem for file in workflows_folder().glob("*.yml"))
    alone = len(Path(shown).parts) == 1
    close = close or (nearest(shown, shipped) if alone else None)
    if close is None and alone and not Path(shown).suffix:
        return f"a workflow is a file, or one that comes with hcrc: {', '.join(shipped)}"
    return f'did you mean "{close}"?' if close else None


def help_for_include(text: str, folders: Iterable[Path], files: Files) -> str | None:
    """The nearest file to one that is not there to include, beside the includer or shipped."""
    path = Path(text)
    names = [name for folder in folders for name in files.list_names(folder / path.parent)]
    close = nearest_file(path, names)
    return f'did you mean "{close}"?' if close else None


def nearest_file(path: Path, names: Iterable[str]) -> str | None:
    """The path with the name of the nearest YAML file, by what stands before the suffix."""
    stems = {Path(name).stem: name for name in names if name.endswith(SUFFIXES)}
    close = nearest(path.stem, stems) if path.name else None
    return str(path.with_name(stems[close])) if close else None
