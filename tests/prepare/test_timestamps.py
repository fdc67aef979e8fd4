"""Times in their declared form, and what is said of others."""

from __future__ import annotations

import datetime as dt

import pytest

from tfrec_vis.prepare.timestamps import seconds_since_1970, timestamp_advice

MIND = "%m/%d/%Y %I:%M:%S %p"
SETTING = "source.interactions.timestamp_format"


def utc(*parts: int) -> int:
    return int(dt.datetime(*parts, tzinfo=dt.timezone.utc).timestamp())


@pytest.mark.parametrize(
    "value, form, expected",
    [
        ("1600000000", "seconds", 1_600_000_000),
        (" 1600000000.9 ", "seconds", 1_600_000_000),
        ("1.6e9", "seconds", 1_600_000_000),
        ("0", "seconds", 0),
        (b"5", "seconds", 5),
        ("1600000000999", "milliseconds", 1_600_000_000),
        ("1.6e12", "milliseconds", 1_600_000_000),
        ("2020-09-13", "iso", utc(2020, 9, 13)),
        ("2020-09-13 12:26:40", "iso", 1_600_000_000),
        ("2020-09-13T12:26:40.500000Z", "iso", 1_600_000_000),
        ("2020-09-13T14:26:40+02:00", "iso", 1_600_000_000),
        ("11/11/2019 9:05:58 AM", MIND, utc(2019, 11, 11, 9, 5, 58)),
        ("11/15/2019 12:00:01 AM", MIND, utc(2019, 11, 15, 0, 0, 1)),
        (dt.date(2020, 9, 13), "seconds", utc(2020, 9, 13)),
        (dt.datetime(2020, 9, 13, 12, 26, 40), "milliseconds", 1_600_000_000),
    ],
)
def test_read(value, form, expected):
    assert seconds_since_1970(value, form) == expected


@pytest.mark.parametrize(
    "value, form",
    [
        (None, "seconds"),
        (True, "seconds"),
        ("", "seconds"),
        ("nan", "seconds"),
        ("inf", "milliseconds"),
        ("1e400", "seconds"),
        (b"\xff", "seconds"),
        ("-1", "seconds"),
        ("4102444800", "seconds"),
        ("1600000000000", "seconds"),
        ("2020-09-13", "seconds"),
        ("1600000000", "milliseconds"),  # in January 1970
        ("4102444799", "milliseconds"),
        ("4102444800000", "milliseconds"),
        ("20200913", "iso"),
        ("1600000000", "iso"),
        ("13.09.2020", "iso"),
        ("1969-12-31", "iso"),
        ("2020-09-13", MIND),
        ("13/13/2019 9:05:58 AM", MIND),
        ("1_700_000_000", "seconds"),
        ("1_700_000_000_000", "milliseconds"),
        ("1_7e8", "seconds"),
        ("１７００００００００", "seconds"),
        ("0x10", "seconds"),
        ("２０２０-09-13", "iso"),
        ("１１/11/2019 9:05:58 AM", MIND),
    ],
)
def test_refused(value, form):
    with pytest.raises(ValueError):
        seconds_since_1970(value, form)


@pytest.mark.parametrize(
    "written, form, told",
    [
        ("1600000000000", "seconds", f"set {SETTING} to milliseconds"),
        ("1600000000", "milliseconds", f"set {SETTING} to seconds"),
        ("1600000000", "iso", f"set {SETTING} to seconds"),
        ("2020-09-13 12:00:00", "seconds", f"set {SETTING} to iso"),
        ("2020-09-13", MIND, f"set {SETTING} to iso"),
        ("1600000000000000000", "seconds", "nanoseconds: convert the column to seconds"),
        ("1600000000000000", "iso", "microseconds: convert the column to seconds"),
    ],
)
def test_advice(written, form, told):
    advice = timestamp_advice(written, form, SETTING)
    assert advice.startswith(f"read as {form}, but '{written}' looks like") and told in advice


@pytest.mark.parametrize("written", ["yesterday", "-5", "12", "4102444800", "nan", "inf", ""])
def test_no_advice(written):
    assert timestamp_advice(written, "seconds", SETTING) == ""


def test_a_layout_that_fixes_the_form_has_no_setting_to_name():
    advice = timestamp_advice("1600000000", "milliseconds", "")
    assert advice.endswith("looks like seconds: convert the column")
