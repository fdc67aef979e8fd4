"""The stages of a recipe, and running them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfrec_vis.errors import InputError
from tfrec_vis.prepare.options import PrepareOptions
from tfrec_vis.recipes import Recipe
from tfrec_vis.serving import check_history
from tfrec_vis.workflow.fits import check_fits
from tfrec_vis.workflow.only_new import only_new
from tfrec_vis.workflow.stage import Stage
from tfrec_vis.workflow.stages import build_stages, write_report

STAGES = ("prepare", "pretrain", "embed", "evaluate", "export", "report")


def run_recipe(
    recipe: Recipe,
    work: Path,
    only: str | None = None,
    until: str | None = None,
    force: str | None = None,
    preparation: PrepareOptions | None = None,
    add_only: bool = False,
    profile: bool = False,
) -> None:
    """Runs the stages that are not done yet.

    Args:
        recipe: the recipe.
        work: the work folder.
        only: this stage alone; those before it must be done.
        until: the last stage to run.
        force: a stage to run again although it is done.
        preparation: how ``prepare`` is run.
        add_only: ``embed`` encodes only items that have no vector yet.
        profile: pre-training also writes a TensorFlow profile of a few steps.

    Raises:
        InputError: an unknown stage, a stage that is missing for ``only``, or bad input.
    """
    for option, name in (("--until", until), ("--force", force)):
        if name is not None and name not in STAGES:
            raise InputError(f"{option} {name}: unknown stage; known: {', '.join(STAGES)}")
    make_deterministic()
    preparation = preparation or PrepareOptions()
    stages = build_stages(recipe, work, preparation, profile)
    if preparation.cuts is not None:
        force = "prepare"  # new cuts are something new to do
    if add_only:
        stages = only_new(stages)
    if only is not None:
        _check_needs(stages, only, work)
        wanted = {"evaluate", "report"} if only == "evaluate" else {only}
    else:
        wanted = set(STAGES[: STAGES.index(until) + 1 if until else len(STAGES)])
    if "export" in wanted:
        check_history(min(recipe.evaluate.history, recipe.prepare.max_history))
    for stage in stages:
        if stage.name in wanted:
            if stage.name == "pretrain" and "embed" in wanted and not stage.is_done:
                check_fits(recipe, work / "prepared")
            run_stage(stage, stage.name == force)
    if "report" in wanted:
        write_report(work, stages)


def run_stage(stage: Stage, force: bool = False) -> None:
    """Runs a stage unless it is done, and says so."""
    label = f"{stage.name} ({stage.folder.name})"
    if stage.is_done and not force:
        print(f"{label}: unchanged, skipped", flush=True)
        return
    print(f"{label} …", flush=True)
    stage.run(force)
    print(f"{label}: done in {stage.seconds:.0f} s", flush=True)


def _check_needs(stages: Sequence[Stage], only: str, work: Path) -> None:
    needed = [s for s in stages if s.name != "export"] if only == "report" else []
    for stage in stages:
        if stage.name == only:
            needed += stage.needs
    for stage in needed:
        if not stage.is_done:
            raise InputError(
                f"{stage.folder}: not there yet, or made with other settings or by another "
                f"version; run `tfrec-vis {stage.name} RECIPE --work {work}` or "
                f"`tfrec-vis run RECIPE --work {work} --until {only}` first, with the same --set"
            )


def make_deterministic() -> None:
    """The same inputs give the same bits."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
