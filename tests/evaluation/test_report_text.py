from __future__ import annotations

import io
import json

import pytest
from report_example import example_report, full_report
from rich.console import Console

from tfrec_vis.evaluation.report_text import as_markdown, print_table
from tfrec_vis.evaluation.summary import verdict


def printed(report: dict, width: int = 80) -> list[str]:
    output = io.StringIO()
    print_table(report, Console(file=output, width=width))
    return output.getvalue().splitlines()


def test_markdown_and_terminal_hold_every_row() -> None:
    report = example_report()
    report["rows"][0]["gauc"] = None
    for run in report["rows"]:
        if run["embedding"] == "imagenet":
            run["embedding"] = "a|b [red]c"
    text = as_markdown(report)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 8
    assert as_markdown(example_report(control=0.009)).startswith("Warning: shuffled photos")
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    line = next(line for line in lines if "chosen" in line)
    assert "| 3 | 0.6310 | 0.0010 | 0.6210 | +3.10 | +2.40 to +3.80 | < 0.001 | < 0.001 |" in line
    assert "Best possible AUC (true click probabilities): 0.7120" in text

    output = io.StringIO()
    print_table(report, Console(file=output, width=200))
    shown = output.getvalue()
    assert verdict(report) in " ".join(shown.split())
    assert "a|b [red]c" in shown and "+2.40 to +3.80" in shown


def test_numbers_are_whole_in_a_narrow_terminal() -> None:
    report = json.loads(json.dumps(example_report()).replace("imagenet", "vectors-from-elsewhere"))
    output = io.StringIO()
    print_table(report, Console(file=output, width=80))
    lines = output.getvalue().splitlines()
    assert "…" not in output.getvalue() and max(map(len, lines)) <= 80
    assert any("+3.10" in line and "0.6310" in line for line in lines)


def test_markdown_has_a_table_for_each_ranker_and_protocol() -> None:
    text = as_markdown(full_report())
    assert "\n\nUnder warm start photos raise AUC from 0.604" in text
    titles = ["**din, from scratch**", "**din, warm start**"]
    titles += ["**dcn, from scratch**", "**dcn, warm start**"]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    warm = text[places[1] : places[2]]
    assert "| courier | cluster_id | 6 of 2 pre-trainings | 0.6168 |" in warm
    assert "| +1.24 | +0.96 to +1.52 |" in warm and warm.count("\n| ") == 1 + 8
    assert (
        "Popularity alone, without ids or photos (control): AUC 0.5520; on new items 0.5030. With "
        "its statistics frozen at the cuts: 0.5290."
    ) in text
    assert "Real against shuffled photos, from scratch: +3.20 points (+2.50 to +3.90," in text
    assert "**din" not in as_markdown(example_report())


@pytest.mark.parametrize("width", [80, 120])
def test_terminal_parts_rankers_and_protocols(width: int) -> None:
    lines = printed(full_report(), width)
    assert max(map(len, lines)) <= width and "…" not in "".join(lines)
    titles = [n for n, line in enumerate(lines) if line in ("din, from scratch", "din, warm start")]
    assert len(titles) == 2
    scratch = "\n".join(lines[titles[0] : titles[1]])
    assert scratch.count("*") == 1 and "courier *" in scratch and "+3.10" in scratch
    assert "+1.24" in "\n".join(lines[titles[1] :])
    assert "din, from scratch" not in printed(example_report())
