from __future__ import annotations

import base64
import copy
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_example import comparison, example_gallery, example_report

from tfrec_vis.evaluation.report_html import render_report

HOSTILE = "\"><script>alert('x')</script><img src=http://evil.example/a.png onerror=alert(1)>"
VOID = {"meta", "img", "br", "line", "rect"}


class Page(HTMLParser):
    """Elements, attributes and visible text; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if data.strip() and self.open[-1] not in ("style", "title"):
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def render(report: dict, gallery, folder: Path) -> tuple[str, Page]:
    path = folder / "report.html"
    render_report(report, gallery, path)
    assert [file.name for file in folder.iterdir()] == ["report.html"]
    html = path.read_text(encoding="utf-8")
    return html, Page(html)


def test_holds_all_parts(tmp_path: Path) -> None:
    gallery = example_gallery()
    html, page = render(example_report(), gallery, tmp_path)
    for words in (
        "raise AUC from 0.600 to 0.631, +3.1 points",
        "courier/cluster_id",
        "Other comparisons",
        "The test rows show new products 5,210 times, known ones 14,830 times.",
        "Socks & <Tights>",
        "No gain, as it should be",
        "gives an AUC of 0.712 (0.707 on new products)",
        "overfitting",
        "shown, clicked",
        "1 h 02 min",
        "8.9 GB",
        "settings.embed.clusters",
    ):
        assert words in page.text, words
    pictures = [a["src"] for tag, a in page.elements if tag == "img"]
    assert len(pictures) == 10 * 6 + 6
    first = base64.b64decode(pictures[0].removeprefix("data:image/jpeg;base64,"))
    assert first == gallery.neighbours[0].query.jpeg
    viewport = [a for tag, a in page.elements if tag == "meta" and a.get("name") == "viewport"]
    assert "width=device-width" in viewport[0]["content"]


def test_loads_nothing_and_escapes_all_text(tmp_path: Path) -> None:
    report = example_report()
    report["dataset"]["name"] = HOSTILE
    report["settings"][HOSTILE] = HOSTILE
    report["cost"]["seconds"][HOSTILE] = 1.0
    report["sim_score_gap"][HOSTILE] = report["sim_score_gap"]["courier"]
    report["comparisons"][-1]["a"] = HOSTILE
    report["primary"]["embedding"] = HOSTILE
    for row in report["rows"]:
        row["slices"][f"category={HOSTILE}"] = {"auc": 0.6, "count": 10_000}
        if row["embedding"] == "courier":
            row["embedding"] = HOSTILE
    html, page = render(report, example_gallery(HOSTILE), tmp_path)
    assert {tag for tag, _ in page.elements}.isdisjoint(
        {"script", "link", "iframe", "object", "embed", "base", "form", "image", "use"}
    )
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert "href" not in attributes and "srcset" not in attributes
        assert (attributes.get("src") or "data:").startswith("data:")
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import|https?:", style)
    assert HOSTILE in page.text  # shown as text
    assert any(a.get("alt") == HOSTILE for _, a in page.elements)


def test_bars_stand_where_the_figures_say(tmp_path: Path) -> None:
    html, page = render(example_report(), None, tmp_path)
    ticks = [(a["x"], a) for tag, a in page.elements if tag == "text"]
    labels = re.findall(r'<text class="tick" x="([\d.]+)%" y="14">([^<]+)</text>', html)
    assert len(labels) == len(ticks) >= 3
    (x0, v0), (x1, v1) = [(float(x), float(v)) for x, v in (labels[0], labels[-1])]

    def place(points: float) -> float:
        return x0 + (points - v0) / (v1 - v0) * (x1 - x0)

    bar = re.search(r'"name">courier/cluster_id</span>(.*?)</svg>', html, re.S)[1]
    left, width = map(float, re.search(r'x="([\d.]+)%" width="([\d.]+)%"', bar).groups())
    assert (left, left + width) == pytest.approx((place(0), place(3.1)), abs=0.05)
    low, high = map(float, re.search(r'x1="([\d.]+)%" x2="([\d.]+)%" y1="17"', bar).groups())
    assert (low, high) == pytest.approx((place(2.4), place(3.8)), abs=0.05)


def test_begins_with_the_warning_where_shuffled_photos_gain(tmp_path: Path) -> None:
    _, page = render(example_report(control=0.009), None, tmp_path)
    assert page.texts[0].startswith("Warning: shuffled photos raise AUC too, by +0.90 points")
    assert "should not gain anything, and does" in page.text
    _, page = render(example_report(), None, tmp_path)
    assert "Warning" not in page.text


def test_undefined_and_absent_parts(tmp_path: Path) -> None:
    report = example_report()
    for run in report["rows"]:
        for name in ("auc", "gauc", "ndcg@10", "log_loss", "ece"):
            run[name] = None
        for part in run["slices"].values():
            part.update(auc=None, count=0)
    undefined = comparison("courier/cluster_id", 0.0)
    undefined.update(difference=math.nan, ci95=[None, None], p_value=None, p_holm=None)
    report["comparisons"] = [undefined]
    report["controls"] = {"shuffled_images": copy.copy(undefined)}
    _, page = render(report, None, tmp_path)
    assert "undefined" in page.texts[2] and "Gain over no image" not in page.text

    bare = {key: example_report()[key] for key in ("rows", "primary")}
    _, page = render(bare, None, tmp_path)
    assert "untested" in page.text and "This control was not run." in page.text
    assert "Best possible" not in page.text and "Overfitting" not in page.text


def test_a_failure_leaves_the_old_page(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(KeyError):
        render_report({}, None, path)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
