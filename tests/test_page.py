"""The page of a plot: it opens without a server, and holds what is told of the models."""

from __future__ import annotations

import re
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from hcrc.runtime.plots.page import Picture, write_page
from hcrc.runtime.tasks.plot import list_drawings

from .data_files import classifier
from .plotting import ROCS, load, make_histograms, make_model, run_plot, write_trained

VOID = {"meta", "img", "link", "br"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "ul", "li"),
    *("table", "thead", "tbody", "tfoot", "tr", "th", "td", "figure", "figcaption", "a", "img"),
}


class Page(HTMLParser):
    """What a page holds; refuses one whose elements do not close in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(path.read_text("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data

    def values(self, tag: str, name: str) -> list[str]:
        return [value for a, b, value in self.attributes if (a, b) == (tag, name)]


def write(folder: Path, *names: str) -> Page:
    """The page of some train results, of one figure for all."""
    models, found = load(folder, *names)
    picture = folder / "picture.png"
    picture.write_bytes(b"a picture")
    drawings = list_drawings(models, found)
    pictures = [Picture(row.name, row.heading, picture, picture) for row in drawings]
    write_page(folder / "index.html", models, found, pictures)
    return Page(folder / "index.html")


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    few = classifier(rocs=ROCS[:1])
    write_trained(tmp_path / "train0", [0.7], make_histograms(1, 1), classifier=few)
    result = run_plot(tmp_path, "train0")
    page = Page(result.path("index.html"))
    assert page.tags <= TAGS
    sources = page.values("img", "src")
    prefix = "data:image/png;base64,"
    pngs = [name for name in result.files if name.endswith(".png")]
    assert [b64decode(source.removeprefix(prefix)) for source in sources] == [
        result.path(name).read_bytes() for name in pngs
    ]
    files = [name for name in result.files if name != "index.html"]
    assert page.values("a", "href") == files
    assert all((result.path("index.html").parent / name).is_file() for name in files)
    text = re.sub(
        r'"data:image/png;base64,[A-Za-z0-9+/=]*"', "", result.path("index.html").read_text()
    )
    assert not re.search(r"https?:|//|url\(|@import|javascript", text)
    assert "color-scheme: light dark" in text
    assert all(page.values("img", "alt"))


def test_the_tables_hold_each_model_and_the_spread(tmp_path: Path) -> None:
    write_trained(tmp_path / "train0", [0.6, 0.8], make_histograms(2), cell="train[offset=0]")
    page = write(tmp_path, "train0")
    head, first, second, spread = page.rows[:4]
    assert head == ["training", "seed", "fold", "loss", *(f"AUC ROC {i}" for i in range(4))]
    assert first == ["train[offset=0]", "5", "0", "0.9500", *["0.6000"] * 3, "not measured"]
    assert second == ["train[offset=0]", "5", "1", "0.9000", *["0.8000"] * 3, "not measured"]
    assert spread == ["mean ± spread", "0.925 ± 0.025", *["0.70 ± 0.10"] * 3, "not measured"]
    head, first, *_, spread = page.rows[4:]
    assert head[3:5] == ["ROC 0, positive", "ROC 0, negative"]
    assert re.fullmatch(r"KS \d\.\d{3} [<>] \d\.\d{3}", first[3])
    assert first[-1] == "KS not measured"
    assert len(first) == 3 + 2 * 4
    assert np.isfinite(float(spread[1].split()[0]))


def test_what_is_not_there_is_on_the_page(tmp_path: Path) -> None:
    write_trained(tmp_path / "train0", [0.7])
    page = write(tmp_path, "train0")
    assert "train0: no histograms: it was trained before they were kept" in page.texts
    assert "Overtraining" not in page.texts
    write_trained(tmp_path / "train1", [0.7], make_histograms(1))
    page = write(tmp_path, "train1")
    assert "Not everything is there:" not in page.texts
    assert "Overtraining" in page.texts


def test_names_do_not_become_html(tmp_path: Path) -> None:
    names = ["</title><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & 'b'; &lt;"]
    rocs = [{"name": name, "positive": [names[0]], "negative": [names[1]]} for name in names]
    hostile = classifier(name=names[0], rocs=rocs, classes=names[:2])
    histograms = make_histograms(1, len(rocs))
    object.__setattr__(histograms.inputs[0], "group", names[1])
    write_trained(
        tmp_path / "train0",
        [],
        histograms,
        cell=names[2],
        classifier=hostile,
        models=[make_model(0, 0.7)],
    )
    page = write(tmp_path, "train0")
    assert page.tags <= TAGS
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert f"{names[0]}, 1 fold" in page.texts
    assert names[2] in page.texts
    assert [f"AUC {name}" for name in names] == page.rows[0][4:]
    assert f"Inputs: {names[1]}" in page.texts
    alts = page.values("img", "alt")
    assert [f"Scores of {name}" for name in names] == alts[3:6]
