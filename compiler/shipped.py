"""What comes with hcrc beside its code: names in, texts of schemas and the workflows' folder out.

``importlib.resources`` would read the same, and costs a start of the command line a fifth of its
time; it is used where nobody waits for it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def read_schema(name: str) -> bytes:
    """The text of a file of ``schemas/``; raises FileNotFoundError."""
    path = f"{package_folder('hcrc.schemas')}/{name}"
    data: bytes = sys.modules["hcrc.schemas"].__loader__.get_data(path)  # type: ignore[union-attr]
    return data


def schema_names() -> list[str]:
    """The names of the schemas, sorted."""
    from importlib import resources

    names = [file.name for file in resources.files("hcrc.schemas").iterdir()]
    return sorted(name for name in names if name.endswith(".schema.json"))


def package_folder(name: str) -> str:
    """The folder of a package of hcrc."""
    __import__(name)
    return str(next(iter(sys.modules[name].__path__)))


def workflows_folder() -> Path:
    """The folder of the workflows and definitions that come with hcrc."""
    from pathlib import Path

    return Path(package_folder("hcrc.workflows"))


def sites_folder() -> Path:
    """The folder of the sites that come with hcrc."""
    from pathlib import Path

    return Path(package_folder("hcrc.templates"), "condor", "sites")
