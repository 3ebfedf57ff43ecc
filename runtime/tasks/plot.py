"""Plot trained models: what they achieved, what they were trained on, and whether too long.

Each figure goes to a PNG and a PDF file, and all of them with the numbers to one page.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from matplotlib.figure import Figure

from ..job import Context
from ..plots.curves import draw_aucs, draw_loss, draw_rocs
from ..plots.distributions import Distributions, load_distributions
from ..plots.inputs import draw_inputs, group_inputs
from ..plots.models import Models, describe, load_models
from ..plots.page import Picture, write_page
from ..plots.scores import draw_scores
from ..plots.style import save, styled
from ..result import Attempt, open_attempt
from ..spec import Cell, PlotSpec

PAGE = "index.html"


class Drawing(NamedTuple):
    """A figure that is not drawn yet: what its files and it are called."""

    name: str
    heading: str
    draw: Callable[[], Figure]


def run(cells: list[Cell], context: Context) -> None:
    """Make the result of each cell."""
    for cell in cells:
        with open_attempt(cell) as attempt:
            plot(attempt, context)


def plot(attempt: Attempt, context: Context) -> None:
    """Draw the plots of a plot cell and commit them."""
    spec = cast(PlotSpec, attempt.cell.spec)
    results = [attempt.read_result(ref.result, ref.hash) for ref in spec.models]
    models = load_models(results)
    found = load_distributions(results, models)
    drawings = list_drawings(models, found)
    pictures = []
    for done, (name, heading, draw) in enumerate(drawings, 1):
        paths = [attempt.path(f"{name}.{kind}") for kind in ("png", "pdf")]
        with styled():
            save(draw(), *paths)
        pictures.append(Picture(name, heading, *paths))
        context.events.progress(attempt.cell.id, "plot", done, len(drawings))
    files: dict[str, Path] = {PAGE: attempt.path(PAGE)}
    write_page(files[PAGE], models, found, pictures)
    files |= {path.name: path for row in pictures for path in (row.png, row.pdf)}
    attempt.commit(files, describe(models) | {"ks": found.describe(models)})


def list_drawings(models: Models, found: Distributions) -> list[Drawing]:
    """All figures there are, in the order of the page."""
    drawings = [Drawing("loss", "Loss by epoch", partial(draw_loss, models))]
    if models.rocs:
        drawings += [
            Drawing("roc", "ROC curves", partial(draw_rocs, models)),
            Drawing("auc", "Areas under the ROC curves by epoch", partial(draw_aucs, models)),
        ]
    if any(scores is not None for scores in found.scores):
        drawings += [
            Drawing(
                f"scores-{index}",
                f"Scores of {roc['name']}",
                partial(draw_scores, models, found, index - 1),
            )
            for index, roc in enumerate(models.rocs, 1)
        ]
    groups = group_inputs(found.inputs)
    drawings += [
        Drawing(f"inputs-{index}", f"Inputs: {group}", partial(draw_inputs, models, rows))
        for index, (group, rows) in enumerate(groups.items(), 1)
    ]
    return drawings
