from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfrec_vis.data import read_items
from tfrec_vis.embeddings import Embeddings, EmbedSettings, embed_features
from tfrec_vis.workflow.evaluated import read_vectors


@pytest.mark.parametrize("levels", [0, 2])
def test_an_embedding_is_read_by_item_index(
    prepared_shop: Path, tmp_path: Path, levels: int
) -> None:
    ids = read_items(prepared_shop, pictures=False).item_id
    features = np.random.default_rng(0).normal(size=[len(ids) - 1, 6]).astype(np.float32)
    settings = EmbedSettings(clusters=5, semantic_levels=levels, semantic_codes=4)
    embed_features(features, prepared_shop, settings, "made up").write(tmp_path / "simclr-seed1")
    stored = Embeddings.read(tmp_path / "simclr-seed1")

    one = read_vectors(tmp_path / "simclr-seed1", prepared_shop, "baseline", "simclr", 1)
    assert (one.name, one.role, one.pretrain_seed) == ("simclr", "baseline", 1)
    assert one.cluster_count == 5 and one.clusters[0] == -1 and not one.vectors[0].any()
    row = {item: i for i, item in enumerate(stored.item_id)}
    for index in range(1, len(ids)):
        assert (one.vectors[index] == stored.embedding[row[ids[index]]]).all()
        assert one.clusters[index] == stored.cluster_id[row[ids[index]]]
        if levels:
            assert (one.semantic_ids[index] == stored.semantic_id[row[ids[index]]]).all()
    if levels:
        assert one.semantic_codes == 4 and (one.semantic_ids[0] == -1).all()
    else:
        assert one.semantic_ids is None and one.semantic_codes == 0
    alone = read_vectors(tmp_path / "simclr-seed1", prepared_shop, "baseline")
    assert (alone.name, alone.pretrain_seed) == ("simclr-seed1", 0)


def test_what_features_need_of_it(prepared_shop: Path, tmp_path: Path) -> None:
    ids = read_items(prepared_shop, pictures=False).item_id
    features = np.random.default_rng(0).normal(size=[len(ids) - 1, 6]).astype(np.float32)
    settings = EmbedSettings(clusters=5, semantic_levels=2, semantic_codes=4)
    embed_features(features, prepared_shop, settings, "made up").write(tmp_path)
    one = read_vectors(tmp_path, prepared_shop, "courier")
    nothing = {"vector_dim": 0, "clusters": 0, "semantic": (0, 0)}
    assert one.arguments((), with_cosines=True) == nothing
    for parts, with_cosines, expected in (
        (("vector",), True, {"vector_dim": 6}),
        (("sim_score", "sim_tier"), True, {}),
        (("sim_score",), False, {"vector_dim": 6}),
        (("cluster_id",), False, {"clusters": 5}),
        (("sim_tier", "semantic_id"), False, {"vector_dim": 6, "semantic": (2, 4)}),
    ):
        assert one.arguments(parts, with_cosines) == nothing | expected
