"""Fill the templates of scripts and submit descriptions."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Final

from jinja2 import BaseLoader, Environment, StrictUndefined, Template

from ..profile import Profile
from ..values import Json
from .quoting import shell_word

UNREACHABLE: Final = 69


def render(name: str, values: Mapping[str, Json]) -> str:
    """A template, by its path below ``templates/``, filled with values."""
    return _template(name).render(values)


@functools.cache
def _template(name: str) -> Template:
    """Made once, which takes longer than filling it."""
    environment = Environment(
        loader=BaseLoader(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no page of HTML
    )
    text = resources.files("hcrc.templates").joinpath(name).read_text("utf-8")
    return environment.from_string(text)


def script_values(profile: Profile) -> dict[str, Json]:
    """What all scripts of a site take: its python, and what they source before it starts."""
    paths = [shell_word(path) for path in profile.source]
    source = render("source.sh.j2", {"paths": paths, "unreachable": UNREACHABLE})
    return {"python": shell_word(profile.python), "source": source}
