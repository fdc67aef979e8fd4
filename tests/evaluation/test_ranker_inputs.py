"""The leak rules, on the very inputs that the ranker reads."""

from __future__ import annotations

import csv
import datetime
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from prepared_shop import IMAGE_SIZE
from ranker_input_oracle import DAY, RawLog, check_rows

from tfrec_vis import sources
from tfrec_vis.data import Impressions, read_manifest
from tfrec_vis.evaluation import EvaluateSettings, popularity_only
from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.ranking import Ranker

HISTORY, MIN_COUNT, WINDOW = 6, 3, 1
KINDS = {"labelled": True, "clicks only": False}


class Shop(NamedTuple):
    """A shop's folder and log, and the rows that the ranker gets from them."""

    folder: Path
    labels: bool
    log: list[dict[str, str]]
    cuts: list[int]
    rows: Rows


def read_log(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def rows_of(shop: Path, labels: bool, log: list[dict[str, str]], out: Path, cuts=None) -> Rows:
    """Prepares the shop's catalogue with another log; gives the ranker's rows."""
    out.mkdir()
    with (out / "log.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(log[0]))
        writer.writeheader()
        writer.writerows(log)
    config: dict[str, Any] = yaml.safe_load((shop / "recipe.yaml").read_text())["source"]
    interactions = {**config["interactions"], "path": str(out / "log.csv")}
    if not labels:
        columns = {n: n for n in ("user_id", "item_id", "timestamp")}
        interactions = {"path": interactions["path"], "columns": columns}
    source = sources.create({**config, "interactions": interactions}, str(shop))
    settings = PrepareSettings(image_size=IMAGE_SIZE, shards=2, negatives_window_days=WINDOW)
    prepare(source, out / "prepared", settings, cuts=cuts)
    return Rows.read(out / "prepared", HISTORY, MIN_COUNT)


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS.keys())
def shop(request, simulated_shop: Path, prepared_shop: Path, tmp_path_factory) -> Shop:
    log = read_log(simulated_shop / "log.csv")
    if request.param:
        rows, prepared = Rows.read(prepared_shop, HISTORY, MIN_COUNT), prepared_shop
    else:
        log = [row for row in log if row["clicked"] == "1"]
        folder = tmp_path_factory.mktemp("clicks") / "all"
        rows, prepared = rows_of(simulated_shop, False, log, folder), folder / "prepared"
    return Shop(simulated_shop, request.param, log, read_manifest(prepared)["cuts"], rows)


def ranker_of(rows: Rows) -> Ranker:
    ranker = Ranker(rows.tables)
    ranker.fit_scale(ranker.numbers(rows.inputs["train"]))
    return ranker


def assert_same_inputs(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def scores(ranker: Ranker, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return ranker(inputs).numpy()


def raw_log(shop: Shop) -> RawLog:
    def page(row: dict[str, str]) -> str:
        return row["page_id"] if shop.labels else f"{row['user_id']}@{row['timestamp']}"

    return RawLog(
        (
            (r["user_id"], r["item_id"], int(r["timestamp"]), page(r), int(r["clicked"]))
            for r in shop.log
        ),
        shop.labels,
    )


def test_inputs_are_what_was_known_before_each_row(shop: Shop) -> None:
    check_rows(shop.rows, raw_log(shop), shop.cuts, WINDOW, of_each=150)


def test_what_comes_later_does_not_change_a_row(shop: Shop, tmp_path: Path) -> None:
    """The log ends in the middle of the test rows: whatever is computed of the others stays."""
    end = int(np.median(shop.rows.split["test"].timestamp))
    early = [row for row in shop.log if int(row["timestamp"]) < end]
    assert 0 < len(early) < len(shop.log)
    cut_off = rows_of(shop.folder, shop.labels, early, tmp_path / "early", shop.cuts)
    # A sampled item was clicked by others in the window after its row.
    window = 0 if shop.labels else WINDOW * DAY
    ranker, other = ranker_of(shop.rows), Ranker(cut_off.tables)
    other.set_learned(ranker.learned())
    compared = {}
    for name in shop.rows.split:
        cuts = np.array([*shop.cuts, np.iinfo(np.int64).max])

        def known(rows: Impressions, cuts: np.ndarray = cuts) -> np.ndarray:
            next_cut = cuts[np.searchsorted(cuts, rows.timestamp, "right")]
            return np.minimum(rows.timestamp + window, next_cut - 1) < end

        kept, kept_too = known(shop.rows.split[name]), known(cut_off.split[name])
        one = {n: v[kept] for n, v in shop.rows.inputs[name].items()}
        two = {n: v[kept_too] for n, v in cut_off.inputs[name].items()}
        assert_same_inputs(one, two)
        for column in ("clicked", "item_seen_in_training", "in_pretraining"):
            np.testing.assert_array_equal(
                getattr(shop.rows.split[name], column)[kept],
                getattr(cut_off.split[name], column)[kept_too],
            )
        np.testing.assert_array_equal(scores(ranker, one), scores(other, two))
        compared[name] = int(kept.sum())
    assert compared["train"] == len(shop.rows.split["train"])
    assert 50 < compared["test"] < len(shop.rows.split["test"])


def test_nothing_for_training_is_computed_from_rows_after_it(
    simulated_shop: Path, prepared_shop: Path, tmp_path: Path
) -> None:
    """Other users, items and context after the second cut: vocabularies, scale and rows stay."""
    log, cuts = read_log(simulated_shop / "log.csv"), read_manifest(prepared_shop)["cuts"]
    number = {user: i for i, user in enumerate(sorted({row["user_id"] for row in log}))}
    changed = [
        {
            **row,
            "user_id": "someone" if number[row["user_id"]] < 5 else row["user_id"],
            "item_id": f"{(int(row['item_id']) + 7) % 60:06d}",
            "position": "new",
        }
        if int(row["timestamp"]) >= cuts[1]
        else row
        for row in log
    ]
    rows = Rows.read(prepared_shop, HISTORY, MIN_COUNT)
    other = rows_of(simulated_shop, True, changed, tmp_path / "changed", cuts)
    assert_same_inputs(rows.inputs["train"], other.inputs["train"])
    np.testing.assert_array_equal(rows.tables.user_id, other.tables.user_id)
    np.testing.assert_array_equal(rows.tables.values, other.tables.values)
    for one, two in zip(rows.tables.buckets, other.tables.buckets, strict=True):
        np.testing.assert_array_equal(one, two)
    for name, known in rows.tables.context.items():
        np.testing.assert_array_equal(known, other.tables.context[name])
    ranker, ranker_too = ranker_of(rows), ranker_of(other)
    scale = [(v.name, v.numpy()) for v in ranker.standardize.variables]
    for (name, one), two in zip(scale, ranker_too.standardize.variables, strict=True):
        np.testing.assert_array_equal(one, two.numpy(), err_msg=name)
    assert any(np.ptp(values) > 0 for _, values in scale)
    ranker_too.set_learned(ranker.learned())
    same = partial(np.array_equal, scores(ranker, rows.inputs["train"]))
    assert same(scores(ranker_too, other.inputs["train"]))
    # The change is one that what is allowed to see it sees.
    assert not np.array_equal(rows.inputs["test"]["history"], other.inputs["test"]["history"])
    assert other.inputs["test"]["user"].min() == 0 < rows.inputs["test"]["user"].min()


def test_a_leak_of_one_second_is_found(shop: Shop) -> None:
    tables = shop.rows.tables
    leaking = replace(shop.rows, tables=replace(tables, click_time=tables.click_time - 1))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_rows(leaking, raw_log(shop), shop.cuts, WINDOW, of_each=50)


@pytest.mark.slow
def test_real_purchases(hm_fashion: Path, tmp_path: Path) -> None:
    """The H&M sample: 500 rows of each split by brute force; popularity alone says nothing."""
    source = sources.create({"kind": "hm", "path": str(hm_fashion)}, str(tmp_path))
    manifest = prepare(source, tmp_path / "prepared", PrepareSettings(image_size=32))
    rows = Rows.read(tmp_path / "prepared", history=20, min_count=5)
    with (hm_fashion / "transactions_train.csv").open() as file:
        bought = [
            (row["customer_id"], row["article_id"], seconds(row["t_dat"]))
            for row in csv.DictReader(file)
        ]
    log = RawLog(((u, i, t, f"{u}@{t}", 1) for u, i, t in bought), labels=False)
    check_rows(rows, log, manifest["cuts"], 3, of_each=500)
    alone = popularity_only(rows, EvaluateSettings())
    assert 0.45 < alone["auc"] < 0.55 and 0.45 < alone["auc_item_new"] < 0.55


def seconds(day: str) -> int:
    midnight = datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.timezone.utc)
    return int(midnight.timestamp())
