from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec_vis.embeddings import Embeddings, read_external
from tfrec_vis.embeddings.external import vectors_of
from tfrec_vis.errors import InputError


@pytest.fixture
def stored(tmp_path):
    rng = np.random.default_rng(0)
    made = Embeddings(
        item_id=np.array(["0108775015", "b", "c", "ü"], dtype=object),
        embedding=rng.normal(size=(4, 3)).astype(np.float32),
        cluster_id=np.array([1, 0, 1, 0], np.int32),
        centroids=rng.normal(size=(2, 3)).astype(np.float32),
        centre=rng.normal(size=3).astype(np.float32),
        metadata={"encoder_fingerprint": "abc", "effective_rank": 2.5},
    )
    made.write(tmp_path / "courier")
    return made, tmp_path / "courier"


def test_files_and_schema(stored):
    made, folder = stored
    assert sorted(path.name for path in folder.iterdir()) == [
        "centre.npy",
        "centroids.npy",
        "embeddings.parquet",
        "metadata.json",
    ]
    schema = pq.read_schema(folder / "embeddings.parquet")
    assert schema.names == ["item_id", "embedding", "cluster_id"]
    assert schema.field("item_id").type == pa.string()
    assert schema.field("cluster_id").type == pa.int32()
    vector = schema.field("embedding").type
    assert pa.types.is_fixed_size_list(vector)
    assert vector.list_size == 3 and vector.value_type == pa.float32()
    rows = pq.read_table(folder / "embeddings.parquet").to_pylist()
    assert [row["item_id"] for row in rows] == ["0108775015", "b", "c", "ü"]
    np.testing.assert_array_equal([row["embedding"] for row in rows], made.embedding)
    assert json.loads((folder / "metadata.json").read_text()) == made.metadata


def test_round_trip(stored):
    made, folder = stored
    again = Embeddings.read(folder)
    for name in ("item_id", "embedding", "cluster_id", "centroids", "centre"):
        before, after = getattr(made, name), getattr(again, name)
        np.testing.assert_array_equal(after, before)
        assert after.dtype == before.dtype
    assert again.metadata == made.metadata


def test_rows_by_item(stored):
    made, _ = stored
    wanted = ["c", "none", "0108775015", "c"]
    expected = [made.embedding[2], np.zeros(3), made.embedding[0], made.embedding[2]]
    np.testing.assert_array_equal(made.vectors_for(wanted), expected)
    np.testing.assert_array_equal(made.clusters_for(wanted), [1, -1, 1, 1])
    made.vectors_for(["b"])[:] = 7
    assert (made.embedding[1] != 7).all()


def test_semantic_ids(stored, tmp_path):
    made, folder = stored
    with pytest.raises(InputError, match="no semantic ids; make them with embed.semantic_levels"):
        Embeddings.read(folder).semantic_ids_for(["b"])
    codes = np.array([[1, 0, 2], [0, 0, 0], [1, 1, 1], [2, 0, 1]], np.int32)
    codebooks = np.random.default_rng(1).normal(size=(3, 3, 3)).astype(np.float32)
    replace(made, semantic_id=codes, codebooks=codebooks).write(tmp_path / "with")
    schema = pq.read_schema(tmp_path / "with/embeddings.parquet")
    assert schema.names == ["item_id", "embedding", "cluster_id", "semantic_id"]
    assert schema.field("semantic_id").type == pa.list_(pa.int32(), 3)
    again = Embeddings.read(tmp_path / "with")
    np.testing.assert_array_equal(again.semantic_id, codes)
    np.testing.assert_array_equal(again.codebooks, codebooks)
    assert again.semantic_id.dtype == np.int32
    found = again.semantic_ids_for(["c", "none", "0108775015"])
    np.testing.assert_array_equal(found, [[1, 1, 1], [-1, -1, -1], [1, 0, 2]])
    assert again.semantic_ids_for([]).shape == (0, 3)


def test_large_catalogues_are_written_in_parts(stored, tmp_path, monkeypatch):
    made, folder = stored
    monkeypatch.setattr("tfrec_vis.embeddings.store._ROW_GROUP", 3)
    replace(made, semantic_id=np.eye(4, dtype=np.int32), codebooks=made.centroids).write(tmp_path)
    assert pq.ParquetFile(tmp_path / "embeddings.parquet").num_row_groups == 2
    again = Embeddings.read(tmp_path)
    np.testing.assert_array_equal(again.embedding, made.embedding)
    np.testing.assert_array_equal(again.semantic_id, np.eye(4))
    assert again.item_id.tolist() == made.item_id.tolist()


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float32()),
        pa.list_(pa.float64()),
        pa.list_(pa.float32(), 2),
        pa.large_list(pa.float32()),
    ],
)
def test_external_vectors(tmp_path, kind):
    vectors = pa.array([[1, 2], [3, 4.5]], kind)
    path = write(tmp_path / "clip.parquet", item_id=["007", "b"], embedding=vectors, more=[1, 2])
    item_id, read = read_external(path)
    assert list(item_id) == ["007", "b"] and read.dtype == np.float32
    np.testing.assert_array_equal(read, [[1, 2], [3, 4.5]])


def test_external_vectors_in_row_groups(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    table = pa.table({"item_id": [f"{i}" for i in range(10)], "embedding": list(vectors)})
    pq.write_table(table, tmp_path / "clip.parquet", row_group_size=3)
    item_id, read = read_external(tmp_path / "clip.parquet")
    np.testing.assert_array_equal(read, vectors)
    assert list(item_id) == [str(i) for i in range(10)]


@pytest.mark.parametrize(
    "columns",
    [
        {"item_id": ["a"], "vector": [[1.0]]},
        {"item": ["a"], "embedding": [[1.0]]},
        {"item_id": ["a", "b"], "embedding": [[1.0, 2.0], [1.0]]},
        {"item_id": ["a", "b"], "embedding": [[1.0, 2.0, 3.0], [1.0]]},
        {"item_id": ["a", "b"], "embedding": [[1.0], None]},
        {"item_id": ["a", "b"], "embedding": [[1.0], [None]]},
        {"item_id": ["a", "b"], "embedding": [[1.0], [np.inf]]},
        {"item_id": ["a", None], "embedding": [[1.0], [2.0]]},
        {"item_id": ["a", "a"], "embedding": [[1.0], [2.0]]},
        {"item_id": ["a"], "embedding": [[]]},
        {"item_id": ["a"], "embedding": [1.0]},
        {"item_id": ["a"], "embedding": ["text"]},
        {"item_id": ["a"], "embedding": [["text"]]},
        {"item_id": [1.0], "embedding": [[1.0]]},
        {"item_id": [b"a"], "embedding": [[1.0]]},
        {"item_id": [True], "embedding": [[1.0]]},
        {"item_id": pa.array([], pa.null()), "embedding": pa.array([], pa.list_(pa.float32()))},
    ],
)
def test_external_errors_name_the_file(tmp_path, columns):
    with pytest.raises(InputError, match="clip.parquet: "):
        read_external(write(tmp_path / "clip.parquet", **columns))


@pytest.mark.parametrize(
    "ids, expected",
    [
        (["0108", "2"], ["0108", "2"]),
        (pa.array(["0108", "2"], pa.large_string()), ["0108", "2"]),
        (pa.array(["0108", "2"]).dictionary_encode(), ["0108", "2"]),
        ([108, 2], ["108", "2"]),
    ],
)
def test_ids_are_text(tmp_path, ids, expected):
    path = write(tmp_path / "clip.parquet", item_id=ids, embedding=[[1.0], [2.0]])
    assert read_external(path)[0].tolist() == expected


def test_vectors_of_given_items(tmp_path):
    vectors = [[1.0, 2], [3, 4], [5, 6]]
    path = write(tmp_path / "clip.parquet", item_id=["a", "b", "007"], embedding=vectors)
    found = vectors_of(path, np.array(["007", "a"], object))
    np.testing.assert_array_equal(found, [[5, 6], [1, 2]])
    message = (
        r"no vector for 2 of 3 items, such as '7' \(the file has ids such as 'a'\); ids are text"
    )
    with pytest.raises(InputError, match=message):
        vectors_of(path, np.array(["a", "7", "c"], object))


def test_the_store_itself_is_accepted(stored):
    made, folder = stored
    np.testing.assert_array_equal(
        vectors_of(folder / "embeddings.parquet", made.item_id[::-1]), made.embedding[::-1]
    )


def test_external_empty_or_no_file(tmp_path):
    empty = pa.array([], pa.list_(pa.float32()))
    path = write(tmp_path / "clip.parquet", item_id=pa.array([], pa.string()), embedding=empty)
    with pytest.raises(InputError, match="clip.parquet: "):
        read_external(path)
    with pytest.raises(InputError, match="none.parquet: expected a Parquet file with columns"):
        read_external(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="text.parquet: expected a Parquet file with columns"):
        read_external(tmp_path / "text.parquet")
