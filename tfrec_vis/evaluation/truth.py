"""What a simulated shop knows and a real one does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tfrec_vis.data import Impressions
from tfrec_vis.errors import InputError


class Truth:
    """The truth folder that ``simulate`` writes.

    Args:
        folder: holds probabilities.parquet and embedding.parquet.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @property
    def probabilities(self) -> Path:
        """Parquet file of every shown item's true click probability."""
        return self.folder / "probabilities.parquet"

    @property
    def embedding(self) -> Path:
        """Parquet file of the true attributes as vectors."""
        return self.folder / "embedding.parquet"

    def probability(self, rows: Impressions, item_ids: np.ndarray) -> np.ndarray:
        """The true click probability of each row: float64 [rows].

        Raises:
            InputError: a row that the truth does not have.
        """
        path = self.probabilities
        try:
            known = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"evaluate.truth: cannot read {path} ({error})") from error
        keys = ["user_id", "page_id", "item_id"]
        for name in (*keys, "probability"):
            if name not in known:
                raise InputError(f"evaluate.truth: {path} has no column {name}")
        shown = pd.DataFrame(
            {
                "user_id": rows.user_id.astype(str),
                "page_id": rows.page_id.astype(str),
                "item_id": item_ids[rows.item_index].astype(str),
            }
        )
        joined = shown.merge(known[[*keys, "probability"]], on=keys, how="left")
        if len(joined) != len(shown) or joined["probability"].isna().any():
            raise InputError(f"{path} is of another log: a test row is not in it exactly once")
        return joined["probability"].to_numpy(np.float64)
