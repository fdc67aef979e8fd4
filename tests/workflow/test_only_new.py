"""``embed --only-new`` after ``prepare --append``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras
from growing_shop import NEW, Shop, replace_training

from tfrec_vis.data import read_items, read_manifest
from tfrec_vis.embeddings import Embeddings, assign_clusters, assign_codes
from tfrec_vis.embeddings.encode import encode_items
from tfrec_vis.errors import InputError
from tfrec_vis.pretraining import load
from tfrec_vis.recipes import load_recipe
from tfrec_vis.workflow import stages
from tfrec_vis.workflow.encoded import picture_size

NAMES = ("courier", "imagenet", "truth")
FITTED = ("centre.npy", "centroids.npy", "codebooks.npy")


@pytest.fixture(scope="module")
def saved(simulated_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that was embedded, with an untrained encoder, and to which a day was added since."""
    folder = tmp_path_factory.mktemp("only_new")
    shutil.copytree(simulated_shop, folder / "now/shop")
    shop = Shop(folder / "now")
    shop.first_days()
    with pytest.MonkeyPatch.context() as patch:
        replace_training(patch)
        shop.run(until="embed")
        shop.append(slice(-NEW, None))
    return Path(shutil.copytree(folder / "now", folder / "saved"))


@pytest.fixture
def shop(saved: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """That shop as it was, at the same paths and with the same times, by which files are known."""
    replace_training(monkeypatch)
    now = saved.with_name("now")
    shutil.rmtree(now)
    shutil.copytree(saved, now)
    return Shop(now)


def test_new_items_get_the_vectors_of_a_full_encode(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: shop.read(name) for name in NAMES}
    fitted = {n: [(shop.work / "embeddings" / n / f).read_bytes() for f in FITTED] for n in NAMES}
    trained = (shop.work / "pretrain/courier/model.keras").read_bytes()
    shop.embed()
    out = capsys.readouterr().out
    assert out.count(f"  {NEW} of 60 items are new\n") == 2
    assert out.count("  60 items in 5 clusters of ") == 3 and "evenness" in out
    assert (shop.work / "pretrain/courier/model.keras").read_bytes() == trained
    for name in NAMES:
        after, count = shop.read(name), 60 - NEW
        assert after.metadata["items"] == 60
        assert after.item_id.tolist() == read_items(shop.work / "prepared").item_id[1:].tolist()
        np.testing.assert_array_equal(
            after.cluster_id, assign_clusters(after.embedding, after.centroids)
        )
        np.testing.assert_array_equal(
            after.semantic_id, assign_codes(after.embedding, after.codebooks)
        )
        if name == "truth":  # from a file, read again as a whole
            continue
        assert after.embedding[:count].tobytes() == before[name].embedding.tobytes()
        np.testing.assert_array_equal(after.cluster_id[:count], before[name].cluster_id)
        np.testing.assert_array_equal(after.semantic_id[:count], before[name].semantic_id)
        folder = shop.work / "embeddings" / name
        assert [(folder / f).read_bytes() for f in FITTED] == fitted[name]
    after = shop.read("courier")
    model = load(shop.work / "pretrain/courier")
    features = encode_items(model, shop.work / "prepared", None, 128) - after.centre
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(after.embedding, features, atol=1e-5)
    fingerprint = before["courier"].metadata["encoder_fingerprint"]
    assert after.metadata["encoder_fingerprint"] == fingerprint


def test_later_commands_neither_redo_nor_skip(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="pretrain/courier: not there yet, or made with other"):
        shop.run(only="embed")
    shop.embed()
    made = shop.contents()
    for again in ({"only": "embed", "add_only": True}, {"only": "embed"}, {"until": "embed"}):
        capsys.readouterr()
        shop.run(**again)
        out = capsys.readouterr().out
        assert "done in" not in out and out.count("unchanged, skipped") >= 3
    assert shop.contents() == made
    # What reads the embeddings sees that they are others now; new settings make all of them.
    recipe = load_recipe(shop.folder / "recipe.yaml")
    assert not any(s.is_done for s in stages.build_stages(recipe, shop.work)[-2:])
    shop.run("embed.clusters=6", only="embed")
    assert len(shop.read("courier").centroids) == 6
    shop.run(until="pretrain", force="pretrain")
    with pytest.raises(InputError, match="not there yet"):
        shop.run(only="evaluate")
    shop.run(only="embed")
    assert shop.read("courier").metadata["items"] == 60


def test_days_can_be_skipped_and_an_interruption_taken_up(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.read("courier")
    shop.append(slice(-2, None))

    class Killed(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Embeddings, "write", dies)
        shop.embed()
    assert len(shop.read("courier").item_id) == 60 - NEW
    shop.embed()
    after = shop.read("courier")
    assert len(after.item_id) == 60
    assert after.embedding[: 60 - NEW].tobytes() == before.embedding.tobytes()


def refused(shop: Shop, message: str, *settings: str) -> None:
    """Refuses in these words and changes nothing."""
    before = shop.contents()
    with pytest.raises(InputError, match=message):
        shop.embed(*settings)
    assert shop.contents() == before


def test_cuts_may_be_moved_on_but_not_back(shop: Shop) -> None:
    first, second, third = read_manifest(shop.work / "prepared")["cuts"]
    before = shop.read("courier")
    shop.append(slice(-2, None), f"{first + 60},{second},{third}")
    shop.embed()
    after = shop.read("courier")
    assert after.metadata["cuts"] == before.metadata["cuts"] == [first, second, third]
    assert len(after.item_id) == 60
    shop.append(slice(-2, None), f"{first - 60},{second},{third}")
    refused(shop, "prepared: cuts were moved back since the embeddings were made")


def test_embeddings_made_elsewhere_are_taken_as_they_are(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pipelines/embed.py writes them: without a stage's stamp."""
    shop.run(until="embed", force="pretrain")
    stored = shop.work / "embeddings/courier"
    (stored / ".stage.json").unlink()
    metadata = json.loads((stored / "metadata.json").read_text())
    made = {path.name: path.read_bytes() for path in stored.iterdir()}
    for name in ("encoder_fingerprint", "data_manifest_sha256", "settings"):
        (stored / "metadata.json").write_text(json.dumps(metadata | {name: "other"}))
        with pytest.raises(InputError, match=rf"courier: .* did not make, .*\({name} in metadata"):
            shop.run(only="embed")
    (stored / "metadata.json").write_bytes(made["metadata.json"])
    with monkeypatch.context() as patch:
        patch.setattr("tfrec_vis.workflow.encoded.encode_items", None)
        capsys.readouterr()
        shop.run(only="embed")
    assert "taken as they are" in capsys.readouterr().out
    (stored / ".stage.json").rename(shop.folder / "stamp")
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == made
    (shop.folder / "stamp").rename(stored / ".stage.json")
    shop.run(only="embed")
    assert capsys.readouterr().out.count("unchanged, skipped") == 3


def test_pictures_may_be_encoded_larger_than_trained_on(shop: Shop) -> None:
    shop.run("embed.image_size=48", "embed.centre=false", until="embed")
    features = encode_items(load(shop.work / "pretrain/courier"), shop.work / "prepared", 48, 64)
    expected = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(shop.read("courier").embedding, expected, atol=1e-5)
    (shop.work / "pretrain/courier/settings.json").write_text('{"image_size": 32}')
    assert picture_size(shop.work, "courier") == 48


def test_what_does_not_go_together_is_refused(shop: Shop) -> None:
    other = "not there, or made with other settings or by another version; new items are added to"
    refused(shop, f"courier: {other}", "embed.clusters=6")
    refused(shop, f"courier: {other}", "pretrain.epochs=9")
    stored = shop.work / "embeddings/courier"
    metadata = json.loads((stored / "metadata.json").read_text())
    changed = metadata | {"encoder_fingerprint": "0" * 64}
    (stored / "metadata.json").write_text(json.dumps(changed))
    refused(shop, r"courier: made by another encoder \(fingerprint 00000000, now [0-9a-f]{8}\)")
    changed = metadata | {"data_manifest_sha256": "0" * 64}
    (stored / "metadata.json").write_text(json.dumps(changed))
    refused(shop, "prepared: prepared anew since the embeddings were made, not with")
    for earlier in range(3):
        cuts = [cut + (at == earlier) for at, cut in enumerate(metadata["cuts"])]
        (stored / "metadata.json").write_text(json.dumps(metadata | {"cuts": cuts}))
        refused(shop, r"prepared: cuts were moved back since .*; train anew \(run --force pretrain")
    (stored / "metadata.json").unlink()
    refused(shop, "courier: no embeddings there to add to; embed all items first")
    aside = stored.rename(shop.folder / "aside")
    refused(shop, f"courier: {other}")
    aside.rename(stored)
    (stored / "metadata.json").write_text(json.dumps(metadata))
    keras.utils.set_random_seed(5)
    shop.run(until="pretrain")
    refused(shop, "courier: made by another encoder")
    shop.write(slice(-2, None))
    refused(shop, "prepared: not there yet, or made with other settings or by another version; run")
