"""The report in headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from report_example import example_gallery, example_report, full_report

from tfrec_vis.evaluation.report_html import render_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LONG = "Bluse <b>mit</b> langen Ärmeln & Gürtel " + "x" * 90


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium (CONTRIBUTING.md)")
    with playwright.sync_playwright() as driver:
        # Its sandbox does not work for root, as which containers run.
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = full_report()
    report["dataset"]["name"] = LONG
    for run in report["rows"]:
        run["slices"][f"category={LONG}"] = {"auc": 0.6, "count": 9}
    path = tmp_path_factory.mktemp("page") / "report.html"
    render_report(report, example_gallery(LONG), path)
    return path


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file; at the end nothing may have been said on the console or asked for."""
    said: list[str] = []
    contexts = []

    def opening(path: Path, width: int = 1280, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 844}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda r: None if _is_inside(r.url, path) else said.append(r.url))
        page.goto(path.as_uri())
        return page

    yield opening
    for context in contexts:
        context.close()
    assert said == []


def _is_inside(url: str, path: Path) -> bool:
    return url == path.as_uri() or url.startswith("data:")


def column(table: Any, name: str) -> list[str]:
    """The texts of a column, top down."""
    headings = [text.strip() for text in table.locator("th").all_inner_texts()]
    return table.locator(f"tbody td:nth-child({headings.index(name) + 1})").all_inner_texts()


def sorting(table: Any) -> dict[str, str]:
    """The headings that say how the table is sorted."""
    marked = table.locator('th:not([aria-sort="none"])')
    return {h.inner_text().strip(): h.get_attribute("aria-sort") for h in marked.all()}


def test_tables_sort_by_click(open_page: Callable[..., Any], page_file: Path) -> None:
    table = open_page(page_file).locator("table").first
    first = table.locator("tbody tr").all_inner_texts()
    values = [float(text) for text in column(table, "AUC")]
    assert values != sorted(values, reverse=True) and sorting(table) == {}
    table.get_by_role("button", name="AUC", exact=True).click()
    assert [float(text) for text in column(table, "AUC")] == sorted(values, reverse=True)
    assert sorting(table) == {"AUC": "descending"}
    table.get_by_role("button", name="AUC", exact=True).click()
    assert [float(text) for text in column(table, "AUC")] == sorted(values)
    assert sorting(table) == {"AUC": "ascending"}
    table.get_by_role("button", name="Image embedding").click()
    names = [text.replace(" chosen", "") for text in column(table, "Image embedding")]
    assert names == sorted(names) and sorting(table) == {"Image embedding": "ascending"}
    # Whole rows moved: the same ones are there, and the chosen one is marked as before.
    assert sorted(table.locator("tbody tr").all_inner_texts()) == sorted(first)
    assert "courier chosen" in " ".join(table.locator("tr.chosen").inner_text().split())


def test_tables_sort_by_keyboard_and_undefined_values_come_last(
    open_page: Callable[..., Any], page_file: Path
) -> None:
    page = open_page(page_file)
    table = page.locator("table").first
    button = table.get_by_role("button", name="Gain, points")
    for key, order in (("Enter", "descending"), ("Space", "ascending")):
        button.focus()
        page.keyboard.press(key)
        assert sorting(table) == {"Gain, points": order}
        texts = column(table, "Gain, points")
        known = [float(text) for text in texts if text not in ("", "n/a")]
        assert known == sorted(known, reverse=order == "descending") and len(known) == 14
        assert all(text in ("", "n/a") for text in texts[len(known) :])
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.innerText.trim()")
    assert focused == "Protocol"


def test_auc_and_gain_are_seen_first_on_a_phone(
    open_page: Callable[..., Any], tmp_path: Path
) -> None:
    render_report(full_report(), None, tmp_path / "report.html")
    page = open_page(tmp_path / "report.html", 390)
    table = page.locator("table").first
    card = table.locator("xpath=..").bounding_box()
    for row in table.locator("tr").all():
        cell = row.locator("th, td").nth(3).bounding_box()
        assert cell["x"] + cell["width"] <= card["x"] + card["width"]


def test_works_without_scripts(open_page: Callable[..., Any], page_file: Path) -> None:
    page = open_page(page_file, java_script_enabled=False)
    table = page.locator("table").first
    assert table.locator("tbody tr").count() == 24 and page.locator("button").count() == 0
    assert table.locator("tr.chosen").is_visible()
    assert not page.get_by_text("A click on a heading sorts").is_visible()
    page.get_by_text("More metrics").click()
    assert page.get_by_role("columnheader", name="NDCG@10").is_visible()


def test_pictures_show(open_page: Callable[..., Any], page_file: Path) -> None:
    page = open_page(page_file)
    widths = page.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert len(widths) == 79 and min(widths) > 0
    # The map's pictures are squares of one picture, given in a style.
    sprite = page.evaluate(
        """async () => {
          const shown = getComputedStyle(document.querySelector(".map i"));
          const picture = new Image();
          picture.src = shown.backgroundImage.slice(5, -2);
          await picture.decode();
          return [picture.naturalWidth, picture.naturalHeight, parseFloat(shown.width)];
        }"""
    )
    assert sprite[:2] == [4 * 48, 4 * 48] and sprite[2] > 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(
    open_page: Callable[..., Any], page_file: Path, width: int, scheme: str
) -> None:
    page = open_page(page_file, width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # What is wider scrolls within its own box: nothing hangs out of its card.
    outside = page.evaluate(
        """() => [...document.querySelectorAll("main > * > :not(.scroll, .strip)")]
          .filter((one) => one.getBoundingClientRect().right > innerWidth).length"""
    )
    assert outside == 0
    assert page.locator("h1").is_visible()


def test_a_bare_older_report_opens(open_page: Callable[..., Any], tmp_path: Path) -> None:
    bare = {key: example_report()[key] for key in ("rows", "primary")}
    render_report(bare, None, tmp_path / "report.html")
    page = open_page(tmp_path / "report.html", 390)
    assert page.locator("table").first.locator("tbody tr").count() == 8
    assert page.evaluate("document.documentElement.scrollWidth") == 390
