from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import tfrec_vis.workflow.run
from tfrec_vis import cli, serving
from tfrec_vis.data import PreparedDataError
from tfrec_vis.errors import NotPublished
from tfrec_vis.prepare import drift

COMMANDS = (
    "run prepare pretrain embed evaluate export refresh check rollback report simulate similar "
    "convert-weights demo doctor"
).split()

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    """Calls a command in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tfrec_vis.workflow.run, "make_deterministic", lambda: None)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tfrec-vis", *map(str, arguments)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as error:
            code = error.code
        written = capsys.readouterr()
        return int(code or 0), written.out, written.err

    return call


@pytest.fixture
def shop(simulated_shop: Path, tmp_path: Path) -> Path:
    """A copy of the simulated shop that a test may damage."""
    return shutil.copytree(simulated_shop, tmp_path / "shop")


def refusal(call: Call, *arguments: object) -> str:
    """The one line with which a command ends when its input is at fault."""
    code, _, error = call(*arguments)
    assert code == 2, error
    lines = error.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), error
    return lines[0]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edited(shop: Path, **sections: object) -> Path:
    path = shop / "recipe.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))
    return path


@pytest.mark.parametrize(
    "command", [(), *((c,) for c in COMMANDS)], ids=lambda c: "".join(c) or "none"
)
def test_every_command_has_help(call: Call, command: tuple[str, ...]) -> None:
    code, out, _ = call(*command, "--help")
    assert code == 0
    assert "Usage: tfrec-vis" in out
    for name in () if command else COMMANDS:
        assert name in out


@pytest.mark.parametrize(
    "arguments", [("fly",), ("run",), ("run", "a", "b"), ("simulate", "a", "--users", "many")]
)
def test_wrong_usage_is_the_users_fault(call: Call, arguments: tuple[str, ...]) -> None:
    code, _, error = call(*arguments)
    assert code == 2 and "Traceback" not in error and "Usage:" in error


@pytest.mark.parametrize("command", ["run", "prepare", "evaluate"])
def test_a_missing_recipe_file(call: Call, command: str) -> None:
    assert "none.yaml: cannot read the recipe" in refusal(call, command, "none.yaml")


def test_an_unknown_key(call: Call, shop: Path) -> None:
    recipe = edited(shop, prepare={"image_sise": 64})
    assert "did you mean prepare.image_size?" in refusal(call, "run", recipe)
    assert "did you mean embed.clusters?" in refusal(
        call, "run", shop / "recipe.yaml", "--set", "prepare={}", "--set", "embed.cluster=5"
    )


def test_a_wrong_type(call: Call, shop: Path) -> None:
    message = refusal(call, "run", edited(shop, pretrain={"epochs": "many"}))
    assert "pretrain.epochs: " in message and "got 'many'" in message


def test_an_unknown_source(call: Call, shop: Path) -> None:
    assert "source.kind" in refusal(call, "run", edited(shop, source={"kind": "tabel"}))


def test_a_missing_source_path(call: Call, shop: Path) -> None:
    (shop / "log.csv").unlink()
    message = refusal(call, "run", shop / "recipe.yaml")
    assert "log.csv" in message
    assert "nowhere" in refusal(
        call, "run", shop / "recipe.yaml", "--set", "source={kind: hm, path: nowhere}"
    )


def test_a_missing_column(call: Call, shop: Path) -> None:
    log = (shop / "log.csv").read_text()
    (shop / "log.csv").write_text(log.replace("timestamp", "time", 1))
    message = refusal(call, "prepare", shop / "recipe.yaml")
    assert "timestamp" in message and "log.csv" in message


def test_an_empty_log(call: Call, shop: Path) -> None:
    header = (shop / "log.csv").read_text().splitlines()[0]
    (shop / "log.csv").write_text(header + "\n")
    assert "log.csv" in refusal(call, "prepare", shop / "recipe.yaml")
    assert not (Path("runs/recipe/prepared")).exists()


def test_more_broken_photos_than_allowed(call: Call, shop: Path) -> None:
    photos = sorted((shop / "photos").iterdir())
    for photo in photos[: len(photos) // 2]:
        photo.write_bytes(b"no photo")
    message = refusal(call, "prepare", shop / "recipe.yaml", "--set", "prepare.image_size=32")
    assert "image_not_decodable" in message and "max_rejected" in message
    evidence = message.split("listed in ")[1].split(" and ")[0]
    assert evidence.startswith("runs/recipe/prepared.partial/") and Path(evidence).stat().st_size
    assert not (Path("runs/recipe/prepared")).exists()


def test_flags_of_beam(call: Call, shop: Path) -> None:
    recipe = edited(shop, prepare={"image_size": 32})
    assert "expected flags of Beam" in refusal(call, "prepare", recipe, "more.yaml")
    assert "FlingRunner" in refusal(call, "prepare", recipe, "--runner", "FlingRunner")
    flags = ("--runner", "DirectRunner", "--", "--direct_num_workers=1", "--job_name=shop")
    code, out, error = call("prepare", recipe, *flags)
    assert code == 0 and "done in" in out, error
    code, out, _ = call("prepare", recipe)
    assert code == 0 and "unchanged, skipped" in out  # where it ran does not matter


def test_append(call: Call, shop: Path) -> None:
    recipe = edited(shop, prepare={"image_size": 32})
    assert "prepare without --append first" in refusal(call, "prepare", recipe, "--append")
    assert "--cuts goes with --append" in refusal(call, "prepare", recipe, "--cuts", "1,2,3")
    assert "is no time" in refusal(call, "prepare", recipe, "--append", "--cuts", "1,2,soon")
    header, *rows = (shop / "log.csv").read_text().splitlines(keepends=True)
    at = header.rstrip().split(",").index("timestamp")
    rows.sort(key=lambda row: int(row.split(",")[at]))
    (shop / "log.csv").write_text("".join([header, *rows[:-50]]))
    assert call("prepare", recipe)[0] == 0
    prepared = Path("runs/recipe/prepared/manifest.json")
    before = json.loads(prepared.read_text())
    (shop / "log.csv").write_text("".join([header, *rows[-50:]]))
    cuts = [cut + 1 for cut in before["cuts"]]
    moved = ("--cuts", ",".join(map(str, cuts)))
    code, out, error = call("prepare", recipe, "--append", *moved)
    assert code == 0 and "done in" in out, error
    after = json.loads(prepared.read_text())
    assert after["interactions"]["read"] == len(rows) and after["cuts"] == cuts
    assert (before["appended"], after["appended"]) == (0, 1)
    code, out, _ = call("prepare", recipe, "--append")
    assert code == 0 and "unchanged, skipped" in out
    evidence = Path("runs/recipe/prepared.partial/evidence")
    evidence.parent.mkdir()
    evidence.touch()
    kept = contents(Path("runs"))
    anew = ("--set", "prepare.seed=5")
    for command in (
        ("run", recipe, "--until", "prepare", "--force", "prepare"),
        ("prepare", recipe, *anew),
    ):
        message = refusal(call, *command)
        assert "added with --append" in message
        assert "move or remove runs/recipe/prepared to start" in message
        assert contents(Path("runs")) == kept
    Path("runs/recipe/prepared").rename("elsewhere")
    (shop / "log.csv").write_text("".join([header, *rows]))
    assert call("prepare", recipe)[0] == 0
    assert json.loads(prepared.read_text())["appended"] == 0


def test_validate_against_is_refused_before_anything_is_prepared(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def hook() -> str:
        return refusal(call, "prepare", "shop.yaml", "--validate-against", "old")

    monkeypatch.setattr(cli, "_run", lambda *_, **__: pytest.fail("it was prepared"))
    monkeypatch.setitem(sys.modules, "tensorflow_data_validation", None)
    assert "pip install -c constraints-tfx.txt '.[tfx]'" in hook()
    monkeypatch.setitem(sys.modules, "tensorflow_data_validation", ModuleType("installed"))
    assert "--validate-against old is not prepared data" in hook()
    (tmp_path / "old" / "schema").mkdir(parents=True)
    (tmp_path / "old" / "manifest.json").write_text("{}")
    for kind in ("impressions", "items", "pages"):
        assert f"--validate-against old/schema/{kind}.pbtxt: no readable schema" in hook()
        (tmp_path / "old" / "schema" / f"{kind}.pbtxt").touch()


def test_validate_against_names_damaged_data(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(old: Path, new: Path) -> None:
        raise PreparedDataError(f"{new} is damaged")

    monkeypatch.setattr(cli, "_run", lambda *_, **__: None)
    monkeypatch.setattr(drift, "check_comparable", lambda old, new: None)
    monkeypatch.setattr(drift, "compare_prepared", damaged)
    message = refusal(call, "prepare", "shop.yaml", "--validate-against", "old")
    assert message == "error: --validate-against old: runs/shop/prepared is damaged"


@pytest.mark.parametrize("command", ["pretrain", "embed", "evaluate", "export", "report"])
def test_a_stage_without_those_before_it(call: Call, shop: Path, command: str) -> None:
    message = refusal(call, command, shop / "recipe.yaml", "--work", "w")
    assert "not there yet" in message and "run `tfrec-vis " in message
    assert not (Path("w") / command).exists()


@pytest.mark.parametrize("option", ["--until", "--force"])
def test_an_unknown_stage(call: Call, shop: Path, option: str) -> None:
    message = refusal(call, "run", shop / "recipe.yaml", option, "embedd")
    assert f"{option} embedd: unknown stage" in message and "known: prepare, pretrain" in message


def test_an_unknown_encoder(call: Call, shop: Path) -> None:
    recipe = edited(shop, pretrain={"encoder": "swin_mikro"})
    message = refusal(call, "run", recipe)
    assert "pretrain.encoder" in message and "did you mean 'swin_micro'?" in message


def test_a_missing_file_of_vectors(call: Call, shop: Path) -> None:
    recipe = edited(shop, embed={"external": {"clip": "clip.parquet"}})
    assert "embed.external.clip: no file" in refusal(call, "run", recipe)


def test_a_folder_that_another_run_has(call: Call, shop: Path) -> None:
    from tfrec_vis.workflow import locked

    with locked(Path("w")):
        message = refusal(call, "run", shop / "recipe.yaml", "--work", "w")
    assert "another tfrec-vis works there" in message


def test_prepare_is_done_once_and_damage_is_named(call: Call, shop: Path) -> None:
    arguments = [shop / "recipe.yaml", "--work", "w", "--set", "prepare.image_size=32"]
    code, out, _ = call("prepare", *arguments)
    assert code == 0 and "prepare (prepared): done" in out and "60 read, 60 kept" in out
    code, out, _ = call("run", *arguments, "--until", "prepare")
    assert code == 0 and "prepare (prepared): unchanged, skipped" in out
    shutil.rmtree("w/prepared/vocabulary")
    for shard in Path("w/prepared").glob("pages-*"):
        shard.write_bytes(b"damaged" * 100)
    small = ["--set", "pretrain.encoder=swin_micro", "--set", "pretrain.embedding_dim=32"]
    assert "prepare it again" in refusal(call, "pretrain", *arguments, *small)


def test_simulate_writes_a_shop_that_can_be_run(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("simulate", "new", "--users", 10, "--items", 60)
    assert code == 0 and "next: tfrec-vis run new/recipe.yaml" in out
    assert (tmp_path / "new/log.csv").is_file()
    message = refusal(call, "simulate", "new", "--users", 10, "--items", 60)
    assert "new exists and is not an empty folder" in message
    assert "items must be at least 50, got 3" in refusal(call, "simulate", "x", "--items", 3)


def test_similar_without_a_run(call: Call) -> None:
    assert "no embeddings there" in refusal(call, "similar", "nowhere", "000001")


@pytest.mark.parametrize(
    "error, code, told",
    [
        (KeyboardInterrupt(), 1, "interrupted: the same command takes it up again"),
        (RuntimeError("broken"), 1, "RuntimeError: broken"),
        (OSError(28, "No space left on device"), 1, "free some where the work folder is"),
        (RuntimeError("x: No space left on device [in step]"), 1, "the same command then takes"),
    ],
)
def test_other_ends(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, told: str
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "_run", failing)
    ended, _, written = call("run", "recipe.yaml")
    assert ended == code and told in written


def test_the_installed_command_writes_one_line_and_exits_with_2() -> None:
    command = Path(sys.executable).with_name("tfrec-vis")
    if not command.exists():
        pytest.skip("the package is not installed beside this Python")
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [command, "run", "none.yaml"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 2 and done.stderr.startswith("error: none.yaml: cannot read")
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def write_version(folder: Path) -> None:
    (folder / "saved_model.pb").write_text("model")


def test_refresh_before_anything_is_published(
    call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfrec_vis.workflow.refresh.make_deterministic", lambda: None)
    message = refusal(call, "refresh", shop / "recipe.yaml", "--work", "day")
    assert "day/saved_models/encoder: nothing is published there; run `tfrec-vis run" in message
    assert "cannot read the recipe" in refusal(call, "refresh", "none.yaml")


def test_check_prints_what_it_found(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {
        "load_seconds": 1.25,
        "latency_ms": {"p50": 2.0, "p99": 7.5},
        "largest_difference": 3e-7,
    }
    asked: list[object] = []

    def infra_check(folder: Path, *, max_latency_ms: float | None) -> dict[str, object]:
        asked.append((folder, max_latency_ms))
        if max_latency_ms is not None:
            raise NotPublished(f"{folder}: too\n slow")
        return found

    monkeypatch.setattr(serving, "infra_check", infra_check)
    code, out, error = call("check", "models/ranker/3")
    assert (code, error) == (0, "")
    assert out == (
        "models/ranker/3: loaded in 1.2 s, answers as recorded (largest difference 3.0e-07), "
        "p50 2 ms, p99 7.5 ms\n"
    )
    # What does not pass is no fault of the input: one line, and 1.
    code, out, error = call("check", "models/ranker/3", "--max-latency-ms", 5)
    assert (code, out, error) == (1, "", "error: models/ranker/3: too slow\n")
    assert asked == [(Path("models/ranker/3"), None), (Path("models/ranker/3"), 5.0)]


def test_check_of_a_folder_without_model(call: Call, tmp_path: Path) -> None:
    assert "name the folder of a version" in refusal(call, "check", tmp_path)


def test_rollback(call: Call, tmp_path: Path) -> None:
    for _ in range(3):
        serving.publish(write_version, tmp_path / "models", "ranker")
    home = tmp_path / "models/ranker"
    assert call("rollback", "models", "ranker") == (0, f"{home}/4\n", "")
    assert call("rollback", "models", "ranker", "--to", 3) == (0, f"{home}/5\n", "")
    assert "no version 9; there are 1, 2, 3, 4, 5" in refusal(
        call, "rollback", "models", "ranker", "--to", 9
    )
    assert "no versions there" in refusal(call, "rollback", "models", "encoder")
