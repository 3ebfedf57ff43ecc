"""One page with all figures and numbers of a plot task, which needs nothing but itself.

The images are in the page; links go to the files beside it. Every text is escaped.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from ..data.histograms import SIDES
from .distributions import Distributions
from .models import Models, area, format_spread, last_loss
from .scores import format_distance

STYLE: Final = """\
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --far: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --far: #ff8a80; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .75rem; text-align: left; }
th { vertical-align: bottom; } tfoot { font-weight: 600; background: var(--soft); }
td { white-space: nowrap; } .far { color: var(--far); font-weight: 600; }
figure { margin: 1.5rem 0; } figcaption { margin: .25rem 0; }
img { background: #fff; border: 1px solid var(--line); border-radius: 4px; max-width: 100%; }
.missing { border-left: 4px solid var(--far); padding: .25rem 1rem; background: var(--soft); }
"""


@dataclass(frozen=True)
class Picture:
    """A figure by its name and heading, and the files it went to."""

    name: str
    heading: str
    png: Path
    pdf: Path


def write_page(
    path: Path, models: Models, found: Distributions, pictures: Sequence[Picture]
) -> None:
    """Write the page to a file."""
    path.write_text("\n".join(_list_lines(models, found, pictures)) + "\n", "utf-8")


def _list_lines(models: Models, found: Distributions, pictures: Sequence[Picture]) -> Iterator[str]:
    title = escape(models.name)
    yield "<!DOCTYPE html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title>"
    yield f"<style>\n{STYLE}</style></head>"
    yield f"<body><h1>{title}</h1>"
    yield from _list_missing(found.missing)
    yield "<h2>Losses and areas under the ROC curves</h2>"
    yield (
        "<p>Of the validation part: the loss after the last epoch, and the areas of the models "
        "that are kept. Below: mean ± standard deviation.</p>"
    )
    yield from _list_areas(models)
    if any(scores is not None for scores in found.scores):
        yield "<h2>Overtraining</h2>"
        yield (
            "<p>The Kolmogorov-Smirnov distance of the weighted scores of the training and the "
            "validation part, and what 95 % of samples of one distribution would be below: "
            "one in twenty is above it by chance. Scores are counted in 1000 bins, which the "
            "distances are of, and drawn in 50.</p>"
        )
        yield from _list_distances(models, found)
    for picture in pictures:
        yield from _list_picture(picture)
    yield "</body></html>"


def _list_missing(missing: Sequence[str]) -> Iterator[str]:
    if missing:
        yield '<div class="missing"><p>Not everything is there:</p><ul>'
        yield from (f"<li>{escape(text)}</li>" for text in missing)
        yield "</ul></div>"


def _list_areas(models: Models) -> Iterator[str]:
    names = [roc["name"] for roc in models.rocs]
    columns = [[last_loss(row, "validation") for row in models.rows]]
    columns += [[area(row, name) for row in models.rows] for name in names]
    cells = [[_format(value) for value in column] for column in columns]
    feet = [format_spread(column) for column in columns]
    yield from _list_table(models, ["loss", *(f"AUC {name}" for name in names)], cells, feet)


def _format(value: float | None) -> str:
    return "<td>not measured</td>" if value is None else f"<td>{value:.4f}</td>"


def _list_distances(models: Models, found: Distributions) -> Iterator[str]:
    heads, cells, feet = [], [], []
    for index, roc in enumerate(models.rocs):
        rows = [found.distances(model, index) for model in range(len(models.rows))]
        for side, name in enumerate(SIDES):
            column = [row[side] for row in rows]
            heads.append(f"{roc['name']}, {name}")
            far = [row is not None and row.distance > row.usual for row in column]
            kinds = [' class="far"' if wide else "" for wide in far]
            texts = [escape(format_distance(row)) for row in column]
            cells.append(
                [f"<td{kind}>{text}</td>" for kind, text in zip(kinds, texts, strict=True)]
            )
            feet.append(format_spread(row.distance for row in column if row is not None))
    yield from _list_table(models, heads, cells, feet)


def _list_table(
    models: Models, heads: list[str], columns: list[list[str]], feet: list[str]
) -> Iterator[str]:
    """A line for each model; ``columns`` are cells of HTML, heads and feet are texts."""
    yield '<div class="table"><table><thead><tr>'
    yield from (f"<th>{escape(head)}</th>" for head in ("training", "seed", "fold", *heads))
    yield "</tr></thead><tbody>"
    for index, origin in enumerate(models.origins):
        seed = "" if origin.seed is None else str(origin.seed)
        own = [f"<td>{escape(text)}</td>" for text in (origin.cell, seed, str(origin.fold))]
        yield f"<tr>{''.join(own)}{''.join(column[index] for column in columns)}</tr>"
    totals = "".join(f"<td>{escape(foot)}</td>" for foot in feet)
    yield f'</tbody><tfoot><tr><td colspan="3">mean ± spread</td>{totals}</tr></tfoot>'
    yield "</table></div>"


def _list_picture(picture: Picture) -> Iterator[str]:
    heading, image = escape(picture.heading), b64encode(picture.png.read_bytes()).decode()
    links = [
        f'<a href="{escape(path.name)}">{escape(path.name)}</a>'
        for path in (picture.png, picture.pdf)
    ]
    yield f'<h2 id="{escape(picture.name)}">{heading}</h2><figure>'
    yield f'<img alt="{heading}" src="data:image/png;base64,{image}">'
    yield f"<figcaption>{', '.join(links)}</figcaption></figure>"
