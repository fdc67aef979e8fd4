"""What an exported ranker was made from, so that it can be made anew over more data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrec_vis.errors import InputError
from tfrec_vis.ranking import RankerTables

_FILE = Path("assets.extra/ranker_state.npz")


@dataclass(frozen=True)
class RankerState:
    """Weights, tables and settings of a ranker, kept in its export as arrays without objects.

    Attributes:
        feature, ranker: as ``Ranker`` takes them.
        tables: the tables it was built with.
        learned: what ``Ranker.learned`` gives.
        categories: str [n], names of the categories its gates count; empty: it has no gates.
        images_off: str [n], categories whose items get no visual features as the target.
    """

    feature: str
    ranker: str
    tables: RankerTables
    learned: Mapping[str, np.ndarray]
    categories: np.ndarray
    images_off: np.ndarray

    def write(self, export: Path) -> None:
        """Writes assets.extra/ranker_state.npz into the folder of an export."""
        path = export / _FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        names = ("feature", "ranker", "categories", "images_off")
        np.savez_compressed(
            path,
            **{name: np.asarray(getattr(self, name), np.str_) for name in names},
            **{f"table/{name}": array for name, array in self.tables.arrays().items()},
            **{f"weight/{name}": weight for name, weight in self.learned.items()},
        )

    @classmethod
    def read(cls, export: Path) -> RankerState:
        """Reads what ``write`` wrote.

        Raises:
            InputError: the export has none.
        """
        path = export / _FILE
        if not path.is_file():
            raise InputError(
                f"{export}: exported by an older version, without {_FILE}; export again "
                "(tfrec-vis run RECIPE --force export)"
            )
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)

        def part(kind: str) -> dict[str, np.ndarray]:
            return {n.removeprefix(kind): a for n, a in arrays.items() if n.startswith(kind)}

        return cls(
            feature=str(arrays["feature"]),
            ranker=str(arrays["ranker"]),
            tables=RankerTables.from_arrays(part("table/")),
            learned=part("weight/"),
            categories=arrays["categories"],
            images_off=arrays["images_off"],
        )
