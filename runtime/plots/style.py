"""What all figures have in common: colours, panels, and the files they go to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

PARTS: Final = {"training": "#0072B2", "validation": "#D55E00"}
# Told apart by those who are colour-blind, too (Okabe and Ito).
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GUIDE_COLOUR: Final = "#999999"
LABEL_LETTERS: Final = 44
DPI: Final = 150
PANEL_INCHES: Final = (4.8, 4.6)
SMALL_PANEL_INCHES: Final = (4.0, 3.2)
STYLE: Final[dict[Any, Any]] = {
    "font.size": 12,
    "axes.labelsize": "medium",
    "axes.titlesize": "medium",
    "xtick.labelsize": "medium",
    "ytick.labelsize": "medium",
    "legend.fontsize": 11,
    "legend.frameon": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "xtick.major.pad": 6,
    "ytick.major.pad": 6,
    "ytick.right": True,
    "ytick.minor.visible": True,
    "text.parse_math": False,
    "pdf.fonttype": 42,
}
# Of the experiment's style, what goes with panels of this size, and the letters its font lacks.
EXPERIMENT_KEYS: Final = (
    "axes.unicode_minus",
    "xaxis.labellocation",
    "yaxis.labellocation",
    "xtick.minor.visible",
)
EVERY_LETTER: Final = "DejaVu Sans"


def find_style() -> dict[Any, Any]:
    """The style of the figures: with what is CMS' own where mplhep is installed, but no label."""
    try:
        import mplhep  # optional: a worker need not have it
    except ImportError:
        return STYLE
    experiment = mplhep.style.CMS
    kept = {key: experiment[key] for key in EXPERIMENT_KEYS if key in experiment}
    return STYLE | kept | {"font.family": [experiment["font.sans-serif"][0], EVERY_LETTER]}


def save(figure: Figure, png: Path, pdf: Path) -> None:
    """Write a figure to both files, the same bytes each time.

    It is drawn once for either, and laid out once, which takes as long: ``print_figure`` does so
    twice for each.
    """
    figure.set_dpi(DPI)
    raster: Any = FigureCanvasAgg(figure)
    raster.print_png(png, metadata={"Software": None})
    figure.set_layout_engine("none")
    nothing = {"Creator": None, "Producer": None, "CreationDate": None}
    vector: Any = FigureCanvasPdf(figure)
    vector.print_pdf(pdf, metadata=nothing)


def styled() -> Any:
    """A context in which figures are drawn and saved."""
    return mpl.rc_context(find_style())


def make_panels(
    title: str,
    names: Sequence[str],
    columns: int,
    inches: tuple[float, float] = PANEL_INCHES,
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each name, row by row."""
    rows = -(-len(names) // columns)
    size = (inches[0] * columns, inches[1] * rows + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(fill(title, LABEL_LETTERS * columns), fontsize="medium")
    panels = [figure.add_subplot(rows, columns, index + 1) for index in range(len(names))]
    for axes, name in zip(panels, names, strict=True):
        axes.set_title(fill(name, LABEL_LETTERS), fontsize="medium")
    return figure, panels


def draw_nothing(axes: Axes, reason: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.text(0.5, 0.5, reason, ha="center", va="center", transform=axes.transAxes)
