"""``embed --only-new``: stages that add to the embeddings that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tfrec_vis.errors import InputError
from tfrec_vis.workflow.encoded import Encoded, Published
from tfrec_vis.workflow.stage import Stage


def only_new(stages: Sequence[Stage], published: Published | None = None) -> list[Stage]:
    """The stages, of which those that embed by an encoder encode new items alone.

    After ``prepare --append`` the encoders were trained on data that have changed since, so that
    they count as not done. Here they are kept as they are: accepted as the encoders of the data
    that are there now, also by later commands (``run --force pretrain`` trains anew). Embeddings
    that are read from a file are read from it again, which takes no encoder.

    Args:
        stages: of a recipe.
        published: encodes new items in place of the encoders of pretrain/.

    Raises:
        InputError: the data are not prepared, encoders or embeddings are missing or made with
            other settings, by another encoder, or of other data. Nothing has changed then.
    """
    adding: dict[Path, Stage] = {}
    for stage in stages:
        stage.restore()
        if stage.name == "prepare" and not stage.is_done:
            raise InputError(
                f"{stage.folder}: not there yet, or made with other settings or by another "
                "version; run `tfrec-vis prepare RECIPE --append` first, with the same --work "
                "and --set"
            )
        encodes = isinstance(stage.make, Encoded)
        if (encodes or stage.name == "pretrain") and not (
            stage.is_done or stage.is_of_same_settings
        ):
            raise InputError(
                f"{stage.folder}: not there, or made with other settings or by another version; "
                "new items are added to what `tfrec-vis run RECIPE --until embed` made with the "
                "same --work and --set"
            )
        if isinstance(stage.make, Encoded) and not stage.is_done:
            adding[stage.folder] = replace(stage, make=stage.make.only_new(published))
    for stage in stages:
        if stage.name == "pretrain":
            stage.accept()
    return [adding.get(stage.folder, stage) for stage in stages]
