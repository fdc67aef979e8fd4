"""The TFX pipeline on some customers of the H&M sample."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml

pytest.importorskip("tfx.version", reason="needs TFX, see docs/tfx.md: make test-tfx")

from chain_recipe import SECTIONS  # noqa: E402
from pipeline_run import Metadata, run  # noqa: E402

from tfrec_vis.recipes import load_recipe  # noqa: E402

ROWS = 4000


@pytest.mark.slow
def test_on_hm_fashion(hm_fashion: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(hm_fashion / "transactions_train.csv", dtype=str)
    customers = rows["customer_id"].drop_duplicates().sample(frac=1, random_state=0)
    counts = rows["customer_id"].value_counts()[customers].cumsum()
    rows = rows[rows["customer_id"].isin(counts.index[counts <= ROWS])]
    items = pd.read_csv(hm_fashion / "articles.csv", dtype=str)
    items = items[items["article_id"].isin(rows["article_id"])]
    shop = tmp_path / "hm"
    for number in items["article_id"]:
        photo = Path("images", number[:3], f"{number}.jpg")
        if (hm_fashion / photo).is_file():
            (shop / photo).parent.mkdir(parents=True, exist_ok=True)
            (shop / photo).write_bytes((hm_fashion / photo).read_bytes())
    rows.to_csv(shop / "transactions_train.csv", index=False)
    items.to_csv(shop / "articles.csv", index=False)
    sections = {**SECTIONS, "source": {"kind": "hm", "path": str(shop)}}
    sections["evaluate"] = {**SECTIONS["evaluate"], "images_off": [], "gates": False}
    (tmp_path / "hm.yaml").write_text(yaml.safe_dump(sections))
    recipe = load_recipe(tmp_path / "hm.yaml")

    root = tmp_path / "root"
    first = run(recipe, root, 0.3)
    again = run(recipe, root, 0.3)
    print(f"{len(rows)} purchases, {len(items)} articles: {first:.0f} s, then {again:.1f} s")
    assert again < first / 4
    metadata = Metadata(root)
    assert set(map(str, metadata.states().values())) == {str(Counter(COMPLETE=1, CACHED=1))}
    assert metadata.newest("ModelBlessing")[1]["blessed"] == 1
    published, _ = metadata.newest("tfrec_vis.PublishedModels")
    versions = json.loads((published / "published.json").read_text())
    assert (Path(versions["ranker"]) / "saved_model.pb").is_file()
    assert (Path(versions["encoder"]) / "saved_model.pb").is_file()
