from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec_vis.data import PreparedDataError
from tfrec_vis.data.schema import find_misfit, read_schema

SCHEMA = text_format.Parse(
    """
    feature { name: "clicked" type: INT int_domain { min: 0 max: 1 } }
    feature { name: "device" type: BYTES string_domain { value: "phone" value: "bücher" } }
    feature { name: "free" type: BYTES }
    feature { name: "shown" type: INT value_count { min: 1 max: 3 } int_domain { min: 1 max: 9 } }
    feature { name: "left_out" type: INT int_domain { min: 0 max: 1 } }
    """,
    schema_pb2.Schema(),
)


def columns(
    clicked=(0, 1, 1), device=("phone", "bücher", "phone"), shown=((1,), (2, 9), (3, 3, 3))
):
    lengths = [len(row) for row in shown]
    return {
        "clicked": np.array(clicked),
        "device": np.array([word.encode() for word in device], object),
        "free": np.array([b"a", b"", b"\xff"], object),
        "shown": (np.concatenate(shown).astype(int), np.cumsum([0, *lengths])),
    }


def test_what_fits():
    assert find_misfit(columns(), SCHEMA) is None
    unbounded = text_format.Parse(
        'feature { name: "shown" value_count { min: 1 } }', schema_pb2.Schema()
    )
    assert find_misfit(columns(), unbounded) is None
    nothing = {"clicked": np.empty(0, int), "shown": (np.empty(0, int), np.zeros(1, int))}
    assert find_misfit(nothing, SCHEMA) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"clicked": (0, 1, 2)}, (2, "clicked", "expected 0 to 1, got 2")),
        ({"clicked": (-1, 1, 5)}, (0, "clicked", "expected 0 to 1, got -1")),
        (
            {"device": ("phone", "Phone", "x")},
            (1, "device", "expected one of 2 known values, got 'Phone'"),
        ),
        ({"shown": ((1,), (2, 0), (3,))}, (1, "shown", "expected 1 to 9, got 0")),
        ({"shown": ((1, 2, 3), (2,), (10, 11))}, (2, "shown", "expected 1 to 9, got 10")),
        ({"shown": ((1,), (), (1,))}, (1, "shown", "expected 1 to 3 values, got 0")),
        ({"shown": ((1,), (2,), (1, 2, 3, 4))}, (2, "shown", "expected 1 to 3 values, got 4")),
        # The first record counts, not the first feature.
        (
            {"clicked": (0, 0, 7), "shown": ((1,), (99,), (1,))},
            (1, "shown", "expected 1 to 9, got 99"),
        ),
    ],
)
def test_the_first_misfit(change, expected):
    assert find_misfit(columns(**change), SCHEMA) == expected


@pytest.mark.parametrize("text", [None, "feature { nam", b"\xff\xfe"])
def test_no_readable_schema(tmp_path, text):
    if text is not None:
        (tmp_path / "schema").mkdir()
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "schema/items.pbtxt").write_bytes(content)
    with pytest.raises(PreparedDataError, match="items.pbtxt: no readable schema; prepare it"):
        read_schema(tmp_path, "items")
