"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tfrec_vis.evaluation import figures
from tfrec_vis.evaluation.gallery import Gallery
from tfrec_vis.evaluation.report_view import view

_HERE = Path(__file__).parent


def render_report(report: Mapping[str, Any], gallery: Gallery | None, path: Path) -> None:
    """Write the report as a self-contained page: styles, charts and pictures are inside.

    Everything that comes from data is escaped. The page's own policy forbids loading from
    anywhere and every script but the one that sorts tables, known by its hash. It is written
    beside and renamed: no reader sees half of it.

    Args:
        report: as in DESIGN 3.4 and docs/data.md; of its fields only `rows` has to be there, what
            else is absent is left out of the page.
        gallery: the pictures; None leaves them out.
        path: the file to write.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("decimal", "points", "interval_text", "p_cell", "p_text", "protocol_text"):
        environment.filters[name] = getattr(figures, name)
    environment.filters.update(data_uri=_data_uri, duration=_duration)
    script = (_HERE / "report.js").read_text(encoding="utf-8")
    page = environment.get_template("report.html.j2").render(
        **view(report),
        gallery=gallery,
        map_points=list(_map_points(gallery)),
        map_clusters=len({p.cluster for p in gallery.map.points}) if gallery and gallery.map else 0,
        policy=_policy(script),
        script=Markup(script),
        style=Markup((_HERE / "report.css").read_text(encoding="utf-8")),
    )
    _write(path, page)


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _map_points(gallery: Gallery | None) -> Iterator[dict[str, str]]:
    """Yield each product's caption, and where it and its square of the sprite are."""
    if gallery is None or gallery.map is None:
        return
    shown = gallery.map
    hues = {name: n for n, name in enumerate(sorted({point.cluster for point in shown.points}))}
    scale = 100 * (shown.places - 1) / shown.places
    for number, point in enumerate(shown.points):
        row, column = divmod(number, shown.sprite.columns)
        x = 100 * column / max(shown.sprite.columns - 1, 1)
        y = 100 * row / max(shown.sprite.rows - 1, 1)
        # Hues a golden angle apart stay distinct however many there are.
        hue = f"hsl({hues[point.cluster] * 137.5 % 360:.0f} 65% 50%)"
        color = "var(--line)" if point.cluster < 0 else hue
        yield {
            "caption": point.caption,
            "style": f"left:{scale * point.x:.2f}%;top:{scale * point.y:.2f}%;color:{color};"
            f"background-position:{x:.2f}% {y:.2f}%;"
            f"transform-origin:{100 * point.x:.0f}% {100 * point.y:.0f}%",
        }


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def _write(path: Path, text: str) -> None:
    path = Path(path)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
