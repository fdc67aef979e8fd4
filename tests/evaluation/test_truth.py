from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfrec_vis.data import read_impressions, read_items
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation import EvaluateSettings, Truth, check_truth


def probability(folder: Path, prepared: Path, rows: int = 20) -> np.ndarray:
    test = read_impressions(prepared, "test").take(np.arange(rows))
    return Truth(folder).probability(test, read_items(prepared).item_id)


def table(shop: Path) -> pd.DataFrame:
    return pd.read_parquet(shop / "truth/probabilities.parquet")


def test_probabilities_are_those_of_the_rows(
    simulated_shop: Path, prepared_shop: Path, tmp_path: Path
) -> None:
    before = probability(simulated_shop / "truth", prepared_shop)
    assert len(before) == 20 and ((before > 0) & (before < 1)).all()
    mixed = table(simulated_shop).sample(frac=1, random_state=0)
    mixed.to_parquet(tmp_path / "probabilities.parquet")
    np.testing.assert_array_equal(probability(tmp_path, prepared_shop), before)


def test_a_missing_table_is_named(prepared_shop: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="evaluate.truth: cannot read .*probabilities.parquet"):
        probability(tmp_path, prepared_shop)


@pytest.mark.parametrize("damage", ["other users", "twice", "gap"])
def test_a_truth_of_another_log_is_refused(
    simulated_shop: Path, prepared_shop: Path, tmp_path: Path, damage: str
) -> None:
    frame = table(simulated_shop)
    if damage == "other users":
        frame["user_id"] = "x" + frame["user_id"]
    elif damage == "twice":
        frame = pd.concat([frame, frame])
    else:
        frame["probability"] = np.nan
    frame.to_parquet(tmp_path / "probabilities.parquet")
    with pytest.raises(InputError, match="is of another log"):
        probability(tmp_path, prepared_shop)


def test_a_table_without_the_column_is_refused(
    simulated_shop: Path, prepared_shop: Path, tmp_path: Path
) -> None:
    table(simulated_shop).drop(columns="probability").to_parquet(tmp_path / "probabilities.parquet")
    with pytest.raises(InputError, match="evaluate.truth: .* has no column probability"):
        probability(tmp_path, prepared_shop)


def test_the_folder_is_checked_beforehand(simulated_shop: Path, tmp_path: Path) -> None:
    check_truth(EvaluateSettings())
    check_truth(EvaluateSettings(truth=str(simulated_shop / "truth")))
    with pytest.raises(InputError, match="evaluate.truth: no folder .*none"):
        check_truth(EvaluateSettings(truth=str(tmp_path / "none")))
