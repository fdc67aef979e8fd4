from __future__ import annotations

import pytest

from tfrec_vis.serving import ServingError


@pytest.mark.parametrize(
    ("details", "shown"),
    [
        (
            "Graph execution error:\n\nDetected at node Assert/AssertGuard/Assert defined at (most "
            "recent call last):\n<stack traces unavailable>\nassertion failed: [expected JPEG] [1]"
            "\n\t [[{{node Assert/AssertGuard/Assert}}]] [Op:__inference_signature_wrapper_3736]",
            "assertion failed: [expected JPEG] [1]",
        ),
        (
            "assertion failed: [expected timestamp in seconds; got:] [17]\n"
            "\t [[{{function_node __inference_score_8096}}{{node Assert_1/Assert}}]]",
            "assertion failed: [expected timestamp in seconds; got:] [17]",
        ),
        ("{{function_node __wrapped__RestoreV2}} no file", "no file"),
        ("BadStatusLine: \x00\x00\x18\x04", "BadStatusLine:"),
        ("x" * 401, "x" * 400 + "…"),
        ("[[1, 2], [3]] {{a}}", "[[1, 2], [3]] {{a}}"),
    ],
)
def test_the_text_is_the_reason_in_one_line(details: str, shown: str) -> None:
    error = ServingError("INTERNAL", details, model="m", address="a:1")
    assert str(error) == f"m at a:1: INTERNAL: {shown}; the server's log may say more"
    assert error.details == details
