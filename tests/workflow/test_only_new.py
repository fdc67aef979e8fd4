"""``embed --only-new`` after ``prepare --append``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras
import yaml

import tfrec_vis.workflow.run
from tfrec_vis.data import read_items, read_manifest
from tfrec_vis.embeddings import Embeddings, assign_clusters, assign_codes
from tfrec_vis.embeddings.encode import encode_items
from tfrec_vis.errors import InputError
from tfrec_vis.pretraining import Courier, PretrainSettings, load
from tfrec_vis.recipes import load_recipe
from tfrec_vis.workflow import PrepareOptions, run_recipe, stages
from tfrec_vis.workflow.encoded import picture_size

NEW = 7
SECTIONS = {
    "prepare": {"image_size": 32, "shards": 2},
    "embed": {"clusters": 5, "semantic_levels": 2, "semantic_codes": 4},
}
NAMES = ("courier", "imagenet", "truth")
FITTED = ("centre.npy", "centroids.npy", "codebooks.npy")


def encoder() -> keras.Model:
    pictures = keras.Input([None, None, 3])
    filtered = keras.layers.Conv2D(12, 5, 4, activation="relu")(pictures)
    return keras.Model(pictures, keras.layers.GlobalMaxPooling2D()(filtered))


class Shop:
    """A simulated shop that gets its last items on a later day, and its work folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder / "shop", folder / "work"

    def first_days(self) -> None:
        recipe = yaml.safe_load((self.folder / "recipe.yaml").read_text())
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe | SECTIONS))
        for name in ("items", "log"):
            whole = (self.folder / f"{name}.csv").read_text()
            (self.folder / f"all-{name}.txt").write_text(whole)
        self.write(slice(1, -NEW))

    def write(self, items: slice) -> None:
        """Only these lines of the catalogue, and of the log what is theirs."""
        lines = (self.folder / "all-items.txt").read_text().splitlines(keepends=True)
        known = {line.split(",")[0] for line in lines[items]}
        log = (self.folder / "all-log.txt").read_text().splitlines(keepends=True)
        at = log[0].rstrip().split(",").index("item_id")
        rows = [row for row in log[1:] if row.rstrip().split(",")[at] in known]
        (self.folder / "items.csv").write_text("".join([lines[0], *lines[items]]))
        (self.folder / "log.csv").write_text("".join([log[0], *rows]))

    def run(self, *settings: str, **options: object) -> None:
        recipe = load_recipe(self.folder / "recipe.yaml", settings)
        run_recipe(recipe, self.work, **options)

    def append(self, items: slice, cuts: str | None = None) -> None:
        self.write(items)
        self.run(only="prepare", preparation=PrepareOptions.parse([], True, cuts))

    def embed(self, *settings: str) -> None:
        self.run(*settings, only="embed", add_only=True)

    def read(self, name: str) -> Embeddings:
        return Embeddings.read(self.work / "embeddings" / name)

    def contents(self) -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in self.work.rglob("*") if p.is_file()}


def replace_training(patch: pytest.MonkeyPatch) -> None:
    def train(
        prepared: Path, out: Path, settings: object, logs: Path, profile: bool = False
    ) -> None:
        model = Courier(encoder(), 8, num_heads=2)
        model(np.zeros([1, 32, 32, 3], np.uint8))
        model.save(out / "model.keras")

    def build_encoder(settings: PretrainSettings) -> keras.Model:
        keras.utils.set_random_seed(settings.seed)
        return encoder()

    patch.setattr(stages, "train", train)
    patch.setattr(stages, "build_encoder", build_encoder)
    patch.setattr(tfrec_vis.workflow.run, "make_deterministic", lambda: None)
    patch.setattr(tfrec_vis.workflow.run, "check_fits", lambda *_: None)


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
    other = "not there, or made with other settings or by another version; --only-new adds to what"
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
