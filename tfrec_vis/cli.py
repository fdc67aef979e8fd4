"""The commands."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import typer  # noqa: E402

from tfrec_vis.errors import InputError, NotPublished  # noqa: E402

if TYPE_CHECKING:
    from tfrec_vis.recipes import Recipe
    from tfrec_vis.workflow import PrepareOptions

app = typer.Typer(
    help="Visual recommendation for TensorFlow: from logs and photos to a measured CTR gain.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"tfrec-vis {version('tfrec-vis')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="The version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every command."""


RecipeFile = Annotated[Path, typer.Argument(help="The recipe, a YAML file.", metavar="RECIPE")]
Work = Annotated[
    Path | None, typer.Option(help="Work folder; runs/NAME-OF-RECIPE if not given.", metavar="DIR")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Replace a setting.", metavar="A.B=C")
]
Profile = Annotated[
    bool,
    typer.Option("--profile", help="Write a TensorFlow profile of a few pre-training steps."),
]

_STAGES = "prepare, pretrain, embed, evaluate, export or report"
_INTERRUPTED = 130
"""What Typer makes of Ctrl-C."""


def main() -> None:
    """Runs a command: 0 done, 2 the user's input is at fault (one line), 1 anything else."""
    try:
        app(prog_name="tfrec-vis")
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except NotPublished as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as error:
        if error.code != _INTERRUPTED:
            raise
        _interrupted()
    except Exception as error:
        if "KeyboardInterrupt" in str(error):  # as Beam passes Ctrl-C on
            _interrupted()
        if _disk_is_full(error):
            print(
                f"error: {os.strerror(errno.ENOSPC)}: free some where the work folder is, where "
                "models are published, or in TMPDIR; the same command then takes it up again",
                file=sys.stderr,
            )
            sys.exit(1)
        traceback.print_exc()
        sys.exit(1)


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether that is behind it; Beam and TensorFlow pass it on as text."""
    while error is not None:
        if os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _interrupted() -> NoReturn:
    print("\ninterrupted: the same command takes it up again", file=sys.stderr)
    sys.exit(1)


def _run(
    recipe: Path,
    work: Path | None,
    settings: list[str] | None,
    only: str | None = None,
    until: str | None = None,
    force: str | None = None,
    preparation: PrepareOptions | None = None,
    add_only: bool = False,
    profile: bool = False,
) -> None:
    from tfrec_vis.workflow import run_recipe

    with _work_folder(recipe, work, settings) as (loaded, folder):
        run_recipe(loaded, folder, only, until, force, preparation, add_only, profile)


@contextmanager
def _work_folder(
    recipe: Path, work: Path | None, settings: list[str] | None
) -> Iterator[tuple[Recipe, Path]]:
    """The recipe and its work folder, which is this command's alone."""
    from tfrec_vis.data import PreparedDataError
    from tfrec_vis.recipes import load_recipe
    from tfrec_vis.workflow import locked

    loaded = load_recipe(recipe, settings or [])
    folder = work or Path("runs") / loaded.name
    try:
        with locked(folder):
            yield loaded, folder
    except PreparedDataError as error:
        raise InputError(str(error)) from error


@app.command()
def run(
    recipe: RecipeFile,
    work: Work = None,
    settings: Settings = None,
    until: Annotated[
        str | None, typer.Option(help=f"Last stage to run: {_STAGES}.", metavar="STAGE")
    ] = None,
    force: Annotated[
        str | None, typer.Option(help=f"Run this stage again: {_STAGES}.", metavar="STAGE")
    ] = None,
    profile: Profile = False,
) -> None:
    """The whole chain: prepare, pretrain, embed, evaluate, export, report."""
    _run(recipe, work, settings, until=until, force=force, profile=profile)


@app.command()
def prepare(
    recipe: RecipeFile,
    beam: Annotated[
        list[str] | None, typer.Argument(help="Flags of Apache Beam.", metavar="[-- BEAM_FLAGS]")
    ] = None,
    work: Work = None,
    settings: Settings = None,
    runner: Annotated[
        str | None,
        typer.Option(help="Beam runner; further flags of Beam come after --.", metavar="NAME"),
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add the source's rows and items to what is prepared.")
    ] = False,
    cuts: Annotated[
        str | None,
        typer.Option(
            help="With --append: move the cuts to three times (seconds, or ISO 8601).",
            metavar="T1,T2,T3",
        ),
    ] = None,
    validate_against: Annotated[
        Path | None,
        typer.Option(
            help="Then name drift and skew against this older prepared folder (tfx extra).",
            metavar="OLD",
        ),
    ] = None,
) -> None:
    """Logs and photos to TFRecords."""
    from tfrec_vis.workflow import PrepareOptions

    flags = [f"--runner={runner}"] if runner else []
    options = PrepareOptions.parse(flags + (beam or []), append, cuts)
    prepared = (work or Path("runs") / recipe.stem) / "prepared"
    if validate_against is not None:
        from tfrec_vis.prepare.drift import check_comparable, name_drift

        check_comparable(validate_against, prepared)
    _run(recipe, work, settings, only="prepare", preparation=options)
    if validate_against is not None:
        name_drift(validate_against, prepared)


@app.command()
def pretrain(
    recipe: RecipeFile, work: Work = None, settings: Settings = None, profile: Profile = False
) -> None:
    """Pre-train the image encoder on what users click."""
    _run(recipe, work, settings, only="pretrain", profile=profile)


@app.command()
def embed(
    recipe: RecipeFile,
    work: Work = None,
    settings: Settings = None,
    only_new: Annotated[
        bool,
        typer.Option("--only-new", help="Encode only items that have no vector yet."),
    ] = False,
) -> None:
    """One vector and one cluster id per item."""
    _run(recipe, work, settings, only="embed", add_only=only_new)


@app.command()
def evaluate(recipe: RecipeFile, work: Work = None, settings: Settings = None) -> None:
    """Train rankers with and without the embeddings, compare, and write the report."""
    _run(recipe, work, settings, only="evaluate")


@app.command()
def export(recipe: RecipeFile, work: Work = None, settings: Settings = None) -> None:
    """Check encoder, ranker and neighbours' search, and publish them as SavedModels."""
    _run(recipe, work, settings, only="export")


@app.command()
def refresh(recipe: RecipeFile, work: Work = None, settings: Settings = None) -> None:
    """After prepare --append: new items and clicks into the published models, without training."""
    from tfrec_vis.workflow.refresh import refresh as renew

    with _work_folder(recipe, work, settings) as (loaded, folder):
        renew(loaded, folder)


@app.command()
def check(
    model: Annotated[
        Path, typer.Argument(help="A version, such as saved_models/ranker/3.", metavar="FOLDER")
    ],
    max_latency_ms: Annotated[
        float | None,
        typer.Option(help="The 99th percentile of its answers may be this long.", metavar="MS"),
    ] = None,
) -> None:
    """Load an exported model in a fresh process and replay its warm-up requests."""
    from tfrec_vis.serving import infra_check

    found = infra_check(model, max_latency_ms=max_latency_ms)
    latency = found["latency_ms"]
    print(
        f"{model}: loaded in {found['load_seconds']:.1f} s, answers as recorded (largest "
        f"difference {found['largest_difference']:.1e}), p50 {latency['p50']:.3g} ms, p99 "
        f"{latency['p99']:.3g} ms"
    )


@app.command()
def rollback(
    models: Annotated[
        Path, typer.Argument(help="Where models are published.", metavar="MODELS_FOLDER")
    ],
    name: Annotated[str, typer.Argument(help="The model, such as ranker.", metavar="NAME")],
    to: Annotated[
        int | None, typer.Option(help="The version to go back to.", metavar="VERSION")
    ] = None,
) -> None:
    """Publish a copy of an earlier version of a model as its next version."""
    from tfrec_vis.serving import rollback as roll_back

    print(roll_back(models, name, to))


@app.command()
def report(recipe: RecipeFile, work: Work = None, settings: Settings = None) -> None:
    """Write report.json and report.html again."""
    _run(recipe, work, settings, only="report")


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="New folder for the shop.", metavar="OUT")],
    users: Annotated[int, typer.Option(help="Users.")] = 2000,
    items: Annotated[int, typer.Option(help="Items.")] = 3000,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """A simulated shop: pictures, users, and clicks whose true probability is known."""
    from tfrec_vis.simulation import simulate as make

    # Defaults are for real catalogues; these fit any size that simulate takes.
    sections = {
        "pretrain": {"embedding_dim": min(64, items // 16 * 4), "temperature": 0.2},
        "embed": {"clusters": max(items // 10, 2)},
    }
    manifest = make(out, users=users, items=items, seed=seed, recipe_sections=sections)
    print(f"{out}: {manifest['counts']}; next: tfrec-vis run {out / 'recipe.yaml'}")


@app.command()
def similar(
    work: Annotated[Path, typer.Argument(help="Work folder of a run.", metavar="WORK")],
    wanted: Annotated[str, typer.Argument(help="An item, or a photo.", metavar="ITEM_ID|PHOTO")],
    count: Annotated[int, typer.Option(help="How many.")] = 10,
) -> None:
    """The items whose pictures are most like an item's, or like a photo."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from tfrec_vis.data import PreparedDataError
    from tfrec_vis.workflow import similar_items

    try:
        found = similar_items(work, wanted, count)
    except PreparedDataError as error:
        raise InputError(str(error)) from error
    table = Table("item_id", "title", "score")
    for item, title, score in found:
        table.add_row(escape(item), escape(title), f"{score:.3f}")
    Console().print(table)


@app.command()
def convert_weights(
    source: Annotated[
        Path, typer.Argument(help="A state dict: .pth or .safetensors.", metavar="IN")
    ],
    out: Annotated[Path, typer.Argument(help="New file, .weights.h5.", metavar="OUT")],
    encoder: Annotated[
        str, typer.Option(help="The Swin they are of: swin_tiny, swin_small.", metavar="NAME")
    ] = ("swin_tiny"),
) -> None:
    """Weights of a Swin of torchvision or timm to a Keras weights file."""
    from tfrec_vis.encoders import convert_weights as convert

    convert(source, out, encoder)
    print(f"{out}: for pretrain.encoder={encoder} as pretrain.weights")


@app.command()
def demo(
    work: Annotated[Path, typer.Option(help="Work folder.", metavar="DIR")] = Path("runs/demo"),
) -> None:
    """The whole chain on the simulated shop, in a few minutes."""
    from tfrec_vis.demo import run_demo

    run_demo(work)


@app.command()
def doctor() -> None:
    """What is installed, whether it works together, and what to mend."""
    from tfrec_vis.doctor import diagnose, print_report

    checks = diagnose()
    print_report(checks)
    sys.exit(int(not all(check.ok for check in checks)))


if __name__ == "__main__":
    main()
