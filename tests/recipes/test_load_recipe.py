from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tfrec_vis.errors import InputError
from tfrec_vis.recipes import Recipe, load_recipe

SHIPPED = Path(__file__).resolve().parents[2] / "pipelines/recipes"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "shop.yaml"
        path.write_text("source: {kind: hm, path: logs}\n" + text)
        return path

    return write


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_every_section_but_source_has_defaults(write: Write, tmp_path: Path) -> None:
    recipe = load_recipe(write(""))
    assert recipe == Recipe("shop", tmp_path, {"kind": "hm", "path": "logs"})
    assert recipe.prepare.splits == (0.6, 0.7, 0.8) and recipe.pretrain.method == "courier"
    assert recipe.embed.clusters == 500 and recipe.evaluate.seeds == 5
    assert recipe.export.path is None


def test_an_empty_section_is_its_defaults(write: Write) -> None:
    assert load_recipe(write("prepare:\nembed: {}")) == load_recipe(write(""))


def test_settings_replace_defaults_one_by_one(write: Write) -> None:
    recipe = load_recipe(
        write(
            "prepare: {image_size: 64, splits: [0.5, 0.6, 0.9]}\n"
            "pretrain: {micro_batch: null, learning_rate: 1e-3, flip: false}\n"
            "evaluate: {features: [none, vector]}\n"
        )
    )
    assert (recipe.prepare.image_size, recipe.prepare.splits) == (64, (0.5, 0.6, 0.9))
    assert recipe.pretrain.micro_batch is None and recipe.pretrain.flip is False
    assert recipe.pretrain.learning_rate == 0.001
    assert recipe.evaluate.features == ("none", "vector") and recipe.evaluate.seeds == 5


@pytest.mark.parametrize(
    "text, wrong, near",
    [
        ("pretrian: {epochs: 1}", "pretrian", "did you mean pretrain?"),
        ("pretrain: {epoch: 1}", "pretrain.epoch", "did you mean pretrain.epochs?"),
        ("evaluate: {seed: 1}", "evaluate.seed", "did you mean evaluate.seeds?"),
        ("embed: {xyz: 1}", "embed.xyz", "known: clusters, "),
        ("embed: {1: 1}", "embed.1", "known: clusters, "),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest_known(
    write: Write, text: str, wrong: str, near: str
) -> None:
    message = refusal(write(text))
    assert "shop.yaml" in message and f"unknown setting {wrong};" in message and near in message


@pytest.mark.parametrize(
    "text, where, got",
    [
        ("pretrain: {epochs: many}", "pretrain.epochs", "'many'"),
        ("pretrain: {epochs: 1.5}", "pretrain.epochs", "1.5"),
        ("pretrain: {flip: perhaps}", "pretrain.flip", "'perhaps'"),
        ("prepare: {splits: [0.6, x, 0.8]}", "prepare.splits.1", "'x'"),
        ("prepare: {splits: 0.6}", "prepare.splits", "0.6"),
        ("evaluate: {features: vector}", "evaluate.features", "'vector'"),
        ("embed: {external: clip.parquet}", "embed.external", "'clip.parquet'"),
        ("export: {path: [a]}", "export.path", "['a']"),
        ("embed: 500", "embed", "500"),
    ],
)
def test_wrong_types_are_refused_with_place_and_value(
    write: Write, text: str, where: str, got: str
) -> None:
    message = refusal(write(text))
    assert f"shop.yaml: {where}: " in message and message.endswith(f"got {got}")


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "pretrain: {compare: simclr}",
            "pretrain.compare: expected a list, such as [simclr], got 'simclr'",
        ),
        ("pretrain: {epochs: 1.5}", "pretrain.epochs: expected a whole number, got 1.5"),
        ("embed: {external: 3}", "embed.external: expected values by name, such as {name: value}"),
        ("prepare: {image_size: 4}", "prepare.image_size: expected 8 to 4096, got 4"),
        ("prepare: {splits: [0.7, 0.6, 0.8]}", "prepare.splits: expected three rising"),
        (
            "evaluate: {features: [vektor]}",
            "evaluate.features: unknown feature 'vektor'; did you mean 'vector'?",
        ),
        (
            "evaluate: {features: [cluster_id+vector]}",
            "evaluate.features: expected features once each and in order, 'vector+cluster_id'",
        ),
        ("evaluate: {features: [vector, vector]}", "evaluate.features: vector is there twice"),
        ("evaluate: {features: [none]}", "evaluate.features: name at least one besides none"),
        ("evaluate: {ranker: bst}", "evaluate.ranker: unknown ranker 'bst'; known: din, dcn, "),
        ("evaluate: {rankers: [bst]}", "evaluate.rankers: unknown ranker 'bst'; known: din, dcn, "),
        ("evaluate: {rankers: [din]}", "evaluate.rankers: din is evaluate.ranker itself; leave"),
        ("evaluate: {rankers: [dcn, dcn]}", "evaluate.rankers: dcn is there twice"),
        ("evaluate: {protocols: [warm]}", "evaluate.protocols: unknown protocol 'warm'; known: s"),
        ("evaluate: {protocols: []}", "evaluate.protocols: name at least one of scratch, warm_st"),
        ("evaluate: {slices: colour}", "evaluate.slices: expected a list, such as [colour]"),
        ("evaluate: {gates: some}", "evaluate.gates: expected true or false"),
        ("pretrain: {seeds: {courier: 0}}", "pretrain.seeds.courier: expected at least 1, got 0"),
        ("pretrain: {seeds: {courier: x}}", "pretrain.seeds.courier: expected a whole number"),
        ("pretrain: {seeds: 2}", "pretrain.seeds: expected values by name"),
        ("evaluate: {train_on: some}", "evaluate.train_on: expected auto, all"),
        ("evaluate: {seeds: 0}", "evaluate.seeds: expected at least 1, got 0"),
    ],
)
def test_wrong_values_are_refused(write: Write, text: str, message: str) -> None:
    assert f"shop.yaml: {message}" in refusal(write(text))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path / "none.yaml")
    assert "none.yaml: cannot read the recipe (No such file or directory)" in message
    assert "cannot read the recipe" in refusal(tmp_path)


@pytest.mark.parametrize("data", [b"a: [1", b"\xff\xfe\x00", b"a: !!python/object:os.system {}"])
def test_what_is_not_plain_yaml_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "shop.yaml"
    path.write_bytes(data)
    assert "shop.yaml: not YAML: " in refusal(path)


@pytest.mark.parametrize(
    "data, told",
    [
        (b"prepare: {shards: 2}\nembed: {a: [1}\n", "line 2, column 14: "),
        (b"prepare:\n  shards: 2\n seed: 3\n", "line 3, column 2: "),
        (b'a: "never closed', "line 1, column 17: "),
        (b"a: \xff", "byte 3 is no UTF-8; save the file as UTF-8"),
        (b"a: \x07", "character 3: "),
    ],
)
def test_the_place_of_a_fault_in_yaml(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_bytes(data)
    message = refusal(path)
    assert f"shop.yaml: not YAML: {told}" in message and len(message) < 250 + len(str(path))
    assert "; mend the" in message or "character" in message or "byte" in message


@pytest.mark.parametrize("text", ["", "- a", "word"])
def test_sections_are_expected(tmp_path: Path, text: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    assert "expected sections such as source: and prepare:" in refusal(path)


@pytest.mark.parametrize("text", ["embed: {}", "source:", "source: hm"])
def test_a_source_is_needed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    assert "it needs a section source: {kind: …}" in refusal(path)


def test_overrides_are_yaml_and_win(write: Write) -> None:
    recipe = load_recipe(
        write("prepare: {shards: 2}"),
        [
            "prepare.shards=8",
            "prepare.splits=[0.5, 0.6, 0.9]",
            "pretrain.micro_batch=null",
            "pretrain.encoder=swin_micro",
            "embed.external.clip=clip.parquet",
        ],
    )
    assert (recipe.prepare.shards, recipe.prepare.splits) == (8, (0.5, 0.6, 0.9))
    assert (recipe.pretrain.micro_batch, recipe.pretrain.encoder) == (None, "swin_micro")
    assert list(recipe.embed.external) == ["clip"]


def test_overridden_source_paths_count_from_the_working_directory(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = write("")
    recipe = load_recipe(path, ["source.path=data", "source.interactions.path=x/*.csv"])
    assert recipe.source["path"] == str(tmp_path / "elsewhere/data")
    assert recipe.source["interactions"] == {"path": str(tmp_path / "elsewhere/x/*.csv")}
    images = load_recipe(path, ["source.images=[photos, 'gs://shop/photos']"]).source["images"]
    assert images == [str(tmp_path / "elsewhere/photos"), "gs://shop/photos"]
    assert load_recipe(path, ["source.kind=table"]).source == {"kind": "table", "path": "logs"}


def test_paths_in_the_file_count_from_its_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        "embed: {external: {clip: v/clip.parquet, mine: /data/mine.parquet}}\n"
        "evaluate: {truth: truth}\n"
        "pretrain: {weights: start.weights.h5}\n"
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    recipe = load_recipe("../shop.yaml")
    assert path.exists() and recipe.folder == tmp_path
    assert recipe.embed.external == {
        "clip": str(tmp_path / "v/clip.parquet"),
        "mine": "/data/mine.parquet",
    }
    assert recipe.evaluate.truth == str(tmp_path / "truth")
    assert recipe.pretrain.weights == str(tmp_path / "start.weights.h5")
    assert load_recipe(path, ["pretrain.weights=imagenet"]).pretrain.weights == "imagenet"


@pytest.mark.parametrize(
    "override, message",
    [
        ("prepare.shards", "expected a.b=value"),
        ("=3", "expected a.b=value"),
        ("prepare..shards=3", "expected a.b=value"),
        ("prepare.shards=[1", "the value is not YAML"),
        ("source.path.deep=3", "path is a value, it has no settings"),
        ("prepare.shard=3", "unknown setting prepare.shard; did you mean prepare.shards?"),
        ("prepair.shards=3", "unknown setting prepair; did you mean prepare?"),
        ("prepare=3", "prepare: expected settings by name, got 3"),
        ("prepare={shard: 3}", "unknown setting prepare.shard; did"),
        ("prepare.splits=[0.6, x, 0.8]", "prepare.splits.1: "),
        ("prepare.image_size=4", "prepare.image_size: expected 8 to 4096, got 4"),
    ],
)
def test_wrong_overrides_are_refused(write: Write, override: str, message: str) -> None:
    told = refusal(write("embed: {clusters: 5}"), override, "embed.clusters=7")
    assert told.startswith(f"--set {override}: ") and message in told and "shop.yaml" not in told


def test_a_fault_of_the_recipe_is_not_blamed_on_an_override(write: Write) -> None:
    message = refusal(write("prepare: {shard: 3}"), "prepare.seed=3", "embed.clusters=7")
    assert "shop.yaml: unknown setting prepare.shard" in message and "--set" not in message


def test_an_override_fills_a_section_left_empty(write: Write) -> None:
    assert load_recipe(write("prepare:"), ["prepare.shards=3"]).prepare.shards == 3


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_recipes_load(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path, [f"source.path={tmp_path}"])
    assert recipe.name == path.stem and recipe.source["path"] == str(tmp_path)


def test_bounds_of_the_export(write: Write) -> None:
    assert load_recipe(write("")).export.max_auc_drop == 0.01
    recipe = load_recipe(write("export: {max_auc_drop: null, max_latency_ms: 8}"))
    assert (recipe.export.max_auc_drop, recipe.export.max_latency_ms) == (None, 8)
    assert "export.max_auc_drop: expected 0 to 1, got -0.5" in refusal(
        write("export: {max_auc_drop: -0.5}")
    )
    assert "export.max_latency_ms: expected 0.001 to 1000000, got 0" in refusal(
        write("export: {max_latency_ms: 0}")
    )
