from __future__ import annotations

import base64
import copy
import hashlib
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_example import comparison, example_gallery, example_report, full_report

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
        if data.strip() and self.open[-1] not in ("style", "title", "script"):
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
    html, page = render(full_report(), gallery, tmp_path)
    for words in (
        "raise AUC from 0.600 to 0.632, +3.1 points",
        "The gain from scratch is measurably larger",
        "Against the best other pre-training, chosen on validation rows: from scratch +0.90",
        "mean of 6 runs of 2 pre-trainings",
        "Change of AUC, from scratch +3.10 points 95 % interval +2.40 to +3.80; AUC 0.600 → 0.632",
        "Change of AUC, warm start +1.24 points 95 % interval +0.96 to +1.52; AUC 0.604 → 0.617",
        "Over the best other pre-training, from scratch +0.90 points",
        "Over the best other pre-training, warm start +0.36 points",
        "Image embedding Used as AUC Gain, points Protocol Ranker 95 % interval p",
        "courier chosen cluster_id 0.6320 +3.10 from scratch din +2.40 to +3.80 < 0.001",
        "GAUC leaves out 131 users (1,240 rows)",
        "Each pre-training by itself",
        "courier/cluster_id imagenet/sim_score auc from scratch din confirmatory +0.90 +0.20",
        "< 0.001 paired bootstrap over users and seeds, 10,000 replicates",
        "interval +2.40 to +3.80; AUC 0.600 → 0.632; mean of 6 runs of 2 pre-trainings",
        "DeLong",
        "din, warm start imagenet/sim_score +0.88 (+0.60 to +1.16)",
        "The test rows show new products 5,210 times, known ones 14,830 times.",
        "By popularity of the product",
        "5-19 +3.10 +1.24 5,230 0.6000 0.6310",
        "By activity of the user",
        "By season",
        "Socks & <Tights> n/a n/a 12 n/a n/a",
        "shuffled photos -0.10 (-0.50 to +0.30)",
        "The same test (warm start) with every product given another product's photo",
        "+0.04 points (95 % interval -0.20 to +0.30, p = 0.60). No gain, as it should be: at most "
        "+0.30 points, less than the least of the claimed gain (+0.96).",
        "Real photos against shuffled ones: +3.20 points (95 % interval +2.50 to +3.90, p < 0.001)",
        "reads an AUC of 0.5520 (95 % interval 0.5410 to 0.5630), 0.5030 on new products.",
        "a warning begins where the whole interval lies above 0.6.",
        "reads 0.5290; the difference of +2.30 points (95 % interval +1.40 to +3.10)",
        "It knows clicks, clicks of 30 days, days since the first click.",
        "gives an AUC of 0.712 (0.707 on new products)",
        "true visual attributes as cluster_id reads 0.662",
        "overfitting",
        "Are predicted click probabilities right?",
        "Dress 0.710 ± 0.020 0.710 ± 0.020",
        "16 products in the courier embedding, laid out by PCA",
        "Cluster 17 largest 1,204 products, 61 % Dress",
        "Cluster 5 random 1 product",
        "shown, clicked",
        "Clicked, predicted 0.012 loss 4.42",
        "Not clicked, predicted 0.731 loss 1.31",
        "no clicks before",
        "1 h 02 min",
        "pretrain/courier",
        "8.9 GB",
        "settings.embed.clusters",
    ):
        assert words in page.text, words
    pictures = [a["src"] for tag, a in page.elements if tag == "img"]
    assert len(pictures) == 10 * 6 + 8 + 6 + 5
    first = base64.b64decode(pictures[0].removeprefix("data:image/jpeg;base64,"))
    assert first == gallery.neighbours[0].query.jpeg
    assert len([tag for tag, _ in page.elements if tag == "i"]) == 16 + 5 + 4 + 6
    viewport = [a for tag, a in page.elements if tag == "meta" and a.get("name") == "viewport"]
    assert "width=device-width" in viewport[0]["content"]


def hostile(value, key: str = ""):
    """The same report with HOSTILE in every name and text that data or users choose."""
    if isinstance(value, dict):
        named = key in ("slices", "sim_score_gap", "seconds", "parts", "settings")
        return {
            name + HOSTILE if named and name not in ("item_new", "item_known") else name: hostile(
                inner, name
            )
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [hostile(inner, key) for inner in value]
    if (
        not isinstance(value, str)
        or value in ("none", "none/none", "")
        or key in ("role", "metric")
    ):
        return value
    parts = value.split("/") if key in ("a", "b") else [value]
    return "/".join(part + HOSTILE for part in parts)


@pytest.mark.parametrize("title", [HOSTILE, ""])
def test_loads_nothing_and_escapes_all_text(title: str, tmp_path: Path) -> None:
    report = hostile(full_report())
    html, page = render(report, example_gallery(title, HOSTILE), tmp_path)
    tags = [tag for tag, _ in page.elements]
    assert set(tags).isdisjoint(
        {"link", "iframe", "object", "embed", "base", "form", "image", "use", "a"}
    )
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert "href" not in attributes and "srcset" not in attributes
        assert (attributes.get("src") or "data:").startswith("data:")
    for style in re.findall(r"<style>(.*?)</style>", html, re.S) + [
        attributes["style"] for _, attributes in page.elements if attributes.get("style")
    ]:
        loaded = re.findall(r"url\(([^)]*)\)", style)
        assert all(re.fullmatch(r"data:image/jpeg;base64,[\w+/=]+", one) for one in loaded)
        assert not re.search(r"@import|https?:", style) and HOSTILE not in style
    assert tags.count("script") == 1 and HOSTILE not in html
    # Shown as text: names of rows, parts, categories, gates, stages, settings, products, ...
    assert page.text.count(HOSTILE) > 300
    for words in (
        f"courier{HOSTILE} chosen",
        f"Dress{HOSTILE}",
        f"summer{HOSTILE}",
        f"clicks of 30 days{HOSTILE}",
        f"pretrain{HOSTILE}",
        f"made-up shop{HOSTILE}",
    ):
        assert " ".join(words.split()) in page.text, words
    shown = HOSTILE if title else f"{HOSTILE}000007"
    assert any(a.get("alt") == shown for _, a in page.elements)
    assert any(a.get("title") == title for tag, a in page.elements if tag == "i")


def test_the_policy_allows_the_one_script_and_no_loading(tmp_path: Path) -> None:
    html, page = render(full_report(), example_gallery(), tmp_path)
    script = re.findall(r"<script>(.*?)</script>", html, re.S)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    policy = next(
        a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not re.search(r"innerHTML|eval|fetch|https?:|document\.write", script[0])


def test_an_older_report_renders_without_what_it_lacks(tmp_path: Path) -> None:
    _, page = render(example_report(), None, tmp_path)
    for words in (
        "DeLong",
        "Popularity alone",
        "Are predicted click",
        "Gates by category",
        "Map of",
        "Clusters",
        "furthest off",
        "Each pre-training",
        "GAUC leaves out",
    ):
        assert words not in page.text, words
    assert "mean of 3 runs of one pre-training, whose own variation is not in" in page.text
    assert "warm start was not tried" in page.text and "Shuffled photos" in page.text


@pytest.mark.parametrize(
    "name", ["comparisons", "controls", "best_possible", "sim_score_gap", "gates", "reliability"]
)
def test_any_optional_field_may_be_absent_or_null(name: str, tmp_path: Path) -> None:
    report = full_report()
    del report[name]
    render(report, None, tmp_path)
    report[name] = None
    render(report, None, tmp_path)


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

    report = full_report()
    report["controls"]["popularity_only"].update(auc=0.71, auc_ci95=[0.68, 0.73])
    _, page = render(report, None, tmp_path)
    assert page.texts[0].startswith("Warning: popularity alone")
    assert "drawn gives the clicks away." in page.text


def test_columns_that_are_alike_in_all_rows_are_left_out(tmp_path: Path) -> None:
    report = full_report()
    report["rows"] = [run for run in report["rows"] if run["ranker"] == "din"]
    _, page = render(report, None, tmp_path)
    assert "Used as AUC Gain, points Protocol 95 % interval" in page.text
    assert "courier chosen cluster_id 0.6320 +3.10 from scratch +2.40" in page.text
    _, page = render(example_report(), None, tmp_path)
    assert "Used as AUC Gain, points 95 % interval" in page.text
    assert "First Against Metric Difference, points" in page.text


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
