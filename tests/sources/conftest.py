from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tfrec_vis.sources import RawRow


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[RawRow]]:
    """Runs a reading transform in this process and gives its rows, in file order if wanted."""

    def collect(read: beam.PTransform, ordered: bool = True) -> list[RawRow]:
        out = tmp_path_factory.mktemp("rows") / "rows"
        options = PipelineOptions(["--direct_running_mode=in_memory"])
        with beam.Pipeline("DirectRunner", options=options) as pipeline:
            rows = pipeline | read | beam.combiners.ToList()
            _ = rows | beam.Map(_save, out=str(out))
        rows = pickle.loads(out.read_bytes())
        return sorted(rows, key=_order) if ordered else rows

    return collect


def _save(rows: list[RawRow], out: str) -> None:
    Path(out).write_bytes(pickle.dumps(rows))


def _order(row: RawRow) -> tuple[str, int]:
    name, _, place = row.where.rpartition(":")
    return name, int(place.split()[-1])
