"""Embedding a catalogue with Beam."""

from __future__ import annotations

import importlib.util
import json
import runpy
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.embeddings import Embeddings, EmbedSettings, assign_codes, embed_features
from tfrec_vis.embeddings.encode import encode_items, weights_fingerprint
from tfrec_vis.embeddings.pipeline import _upload
from tfrec_vis.errors import InputError
from tfrec_vis.pretraining import Courier

ROOT = Path(__file__).resolve().parents[2]
SUBMITTED = ROOT / "pipelines/embed.py"
SET = ["--set", "embed={clusters: 6, batch_size: 16, semantic_levels: 2, semantic_codes: 4}"]
SETTINGS = EmbedSettings(clusters=6, batch_size=16, semantic_levels=2, semantic_codes=4)


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("submitted_embed", SUBMITTED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As WORK/pretrain/courier is; pictures of 24 px."""
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [
            keras.Input([None, None, 3]),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.Conv2D(12, 5, 4, activation="relu"),
            keras.layers.GlobalMaxPooling2D(),
        ]
    )
    folder = tmp_path_factory.mktemp("trained")
    model = Courier(encoder, 8, num_heads=2)
    model(np.zeros([1, 24, 24, 3], np.uint8))
    model.save(folder / "model.keras")
    (folder / "settings.json").write_text(json.dumps({"image_size": 24}))
    return folder


@pytest.fixture(scope="module")
def in_process(trained: Path, prepared_shop: Path) -> Embeddings:
    model = keras.models.load_model(trained / "model.keras", compile=False)
    features = encode_items(model, prepared_shop, 24, 16)
    return embed_features(features, prepared_shop, SETTINGS, weights_fingerprint(model))


@pytest.mark.parametrize(
    "flags",
    [
        [],
        pytest.param(
            ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["in this process", "in two"],
)
def test_embeds_as_the_command_does(
    module: ModuleType,
    small_shop: tuple[Path, Path],
    trained: Path,
    in_process: Embeddings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
) -> None:
    shop, prepared = small_shop
    out = tmp_path / "deep/embeddings"
    given = [str(shop / "recipe.yaml"), str(prepared), str(trained), str(out), *SET, "--", *flags]
    module.main(given)
    made = Embeddings.read(out)
    assert made.item_id.tolist() == in_process.item_id.tolist()
    np.testing.assert_allclose(made.embedding, in_process.embedding, atol=1e-5)
    np.testing.assert_allclose(made.centre, in_process.centre, atol=1e-5)
    distance = np.square(made.embedding[:, None] - made.centroids[None]).sum(-1)
    np.testing.assert_array_equal(made.cluster_id, distance.argmin(axis=1))
    assert made.semantic_id.shape == (60, 2)
    np.testing.assert_array_equal(made.semantic_id, assign_codes(made.embedding, made.codebooks))
    schema = pq.read_schema(out / "embeddings.parquet")
    assert schema.names == ["item_id", "embedding", "cluster_id", "semantic_id"]
    for name in ("encoder_fingerprint", "data_manifest_sha256", "centred", "items"):
        assert made.metadata[name] == in_process.metadata[name]
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == made.metadata
    assert [p.name for p in out.parent.iterdir()] == ["embeddings"]  # nothing is left beside
    with pytest.raises(InputError, match="embeddings exists; name a new folder"):
        module.main(given)


def test_features_are_kept_for_a_restart(
    module: ModuleType,
    small_shop: tuple[Path, Path],
    trained: Path,
    in_process: Embeddings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop, prepared = small_shop
    out = tmp_path / "out"
    given = [str(shop / "recipe.yaml"), str(prepared), str(trained), str(out)]
    with pytest.raises(InputError, match="embed.clusters: 61 clusters .*there are 60; lower"):
        module.main([*given, "--set", "embed.clusters=61"])
    with pytest.raises(InputError, match="embed.semantic_codes: 61 clusters .*there are 60; lower"):
        codes = "{clusters: 6, semantic_levels: 2, semantic_codes: 61}"
        module.main([*given, "--set", f"embed={codes}"])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out.partial-of-others").mkdir()
    with pytest.raises(InputError, match="embed.clusters: 60 clusters .* before the second cut"):
        module.main([*given, "--set", "embed.clusters=60"])
    assert len(list(tmp_path.glob("out.partial-*/features-*.parquet"))) >= 1
    with monkeypatch.context() as patch:
        patch.setattr("tfrec_vis.embeddings.pipeline._encode", None)
        module.main([*given, *SET])
    made = Embeddings.read(out)
    np.testing.assert_allclose(made.embedding, in_process.embedding, atol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "out.partial-of-others"]
    (out / "metadata.json").unlink()
    with pytest.raises(InputError, match=r"out exists and is incomplete \(no metadata.json\); rem"):
        module.main(given)


def test_what_is_missing_is_named(
    module: ModuleType, small_shop: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    shop, prepared = small_shop
    recipe, out = str(shop / "recipe.yaml"), str(tmp_path / "out")
    with pytest.raises(InputError, match="is not prepared data"):
        module.main([recipe, str(tmp_path), str(trained), out])
    with pytest.raises(InputError, match="model.keras: expected a Keras model .*no such file"):
        module.main([recipe, str(prepared), str(tmp_path), out])
    (tmp_path / "model.keras").write_text("no model")
    with pytest.raises(InputError, match="model.keras: expected a Keras model"):
        module.main([recipe, str(prepared), str(tmp_path), out])
    shutil.copy(trained / "model.keras", tmp_path / "model.keras")
    with pytest.raises(InputError, match="settings.json: expected the settings .*not known"):
        module.main([recipe, str(prepared), str(tmp_path), out])
    with pytest.raises(InputError, match="--direct_num_worker: Beam has no such flag"):
        module.main([recipe, str(prepared), str(trained), out, "--", "--direct_num_worker=2"])
    assert not Path(out).exists()


def test_damaged_and_missing_files(
    module: ModuleType, small_shop: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    shop, prepared = small_shop
    copy, out = shutil.copytree(prepared, tmp_path / "prepared"), tmp_path / "out"
    given = [str(shop / "recipe.yaml"), str(copy), str(trained), str(out), *SET]
    shard = sorted(copy.glob("items-*.tfrecord"))[0]
    whole = bytearray(shard.read_bytes())
    whole[len(whole) // 2] ^= 1
    shard.write_bytes(whole)
    with pytest.raises(InputError, match=f"{shard.name} is damaged: copy it again"):
        module.main(given)
    shard.unlink()
    with pytest.raises(InputError, match="items were read where the manifest says 60"):
        module.main(given)
    assert not out.exists()


def test_at_an_address_the_metadata_come_last(
    in_process: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_process.write(tmp_path / "store")
    copied, copy = [], tf.io.gfile.copy
    monkeypatch.setattr(
        tf.io.gfile, "copy", lambda *a, **k: (copied.append(Path(a[1]).name), copy(*a, **k))
    )
    _upload(tmp_path / "store", "ram://bucket/embeddings")
    assert copied[-1] == "metadata.json"
    assert sorted(copied) == sorted(p.name for p in (tmp_path / "store").iterdir())
    with tf.io.gfile.GFile("ram://bucket/embeddings/metadata.json") as file:
        assert json.load(file) == in_process.metadata


def test_as_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SUBMITTED), str(tmp_path / "none.yaml"), "a", "b", "c"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SUBMITTED), run_name="__main__")
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.startswith("error: ")
    assert error.endswith("cannot read the recipe (No such file or directory)\n")
