"""``hcrc explain``: what a code of an error or a warning means, with examples; or all codes."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping
from importlib import resources
from typing import Final

from ..codes import CODES, WARNINGS
from . import USAGE_ERROR

EXAMPLE: Final = "hcrc explain unknown-key"
FILE: Final = "explanations.yml"
WIDTH: Final = 88


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "codes",
        metavar="CODE",
        nargs="*",
        help="the code in brackets of a message; without one, all are listed",
    )


def run(options: argparse.Namespace) -> int:
    """Explain the codes, or list them."""
    if not options.codes:
        width = max(map(len, CODES))
        lines = [f"{code:{width}}  {severity(code):7}  {CODES[code]}" for code in sorted(CODES)]
        print("\n".join(lines))
        return 0
    unknown = [code for code in options.codes if code not in CODES]
    for code in unknown:
        _refuse(code)
    if unknown:
        return USAGE_ERROR
    explanations = read_explanations()
    print("\n".join(_explain(code, explanations[code]) for code in options.codes), end="")
    return 0


def severity(code: str) -> str:
    """``error`` or ``warning``."""
    return "warning" if code in WARNINGS else "error"


def read_explanations() -> Mapping[str, Mapping[str, str]]:
    """For each code its ``text``, and what is ``wrong`` and ``right``."""
    import yaml

    text = resources.files("hcrc.compiler").joinpath(FILE).read_text("utf-8")
    explanations: dict[str, dict[str, str]] = yaml.safe_load(text)
    return explanations


def _refuse(code: str) -> None:
    from ..diagnostics import nearest, show

    near = nearest(code, CODES)
    help = f'did you mean "{near}"?' if near else "hcrc explain lists them"
    print(f"hcrc: error: there is no code {show(code)}: {help}", file=sys.stderr)


def _explain(code: str, parts: Mapping[str, str]) -> str:
    paragraph = textwrap.fill(parts["text"], WIDTH, break_on_hyphens=False)
    wrong, right = (textwrap.indent(parts[key].rstrip(), "    ") for key in ("wrong", "right"))
    head = f"{severity(code)}[{code}]: {CODES[code]}"
    return f"{head}\n\n{paragraph}\n\nWrong:\n\n{wrong}\n\nRight:\n\n{right}\n"
