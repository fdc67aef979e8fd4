"""Puts a finished SavedModel where TensorFlow Serving looks, whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from tfrec_vis.errors import InputError
from tfrec_vis.serving.models_config import write_models_config
from tfrec_vis.serving.versions import versions

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def publish(model: Path | Callable[[Path], None], root: Path, name: str) -> Path:
    """Publishes a SavedModel as the next version ``ROOT/NAME/N``.

    The model is written to ``ROOT/NAME/.partial-...``, synced to disk and renamed, so a reader
    sees all of it or nothing, and what a killed publisher leaves behind is never taken for a
    version. Of several publishers at the same time each gets a number of its own. Then
    ``ROOT/models.config`` is written anew.

    Args:
        model: the folder of a SavedModel, which is copied; or a function that writes one into
            the empty folder it is given, such as ``lambda path: tf.saved_model.save(m, path)``.
        root: the folder that holds all published models; made if it is not there.
        name: the model's name for TensorFlow Serving.

    Returns:
        The folder of the new version.

    Raises:
        InputError: the name cannot be a folder's, `model` is a folder without SavedModel, or
            ``ROOT/NAME`` cannot be written.
        ValueError: the function wrote no SavedModel.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"model name {name!r}: use letters, digits, '_', '-' and '.', a letter or digit first"
        )
    if isinstance(model, Path) and not _is_saved_model(model):
        raise InputError(f"{model}: no saved_model.pb in it; name the folder of a SavedModel")

    home = root.absolute() / name
    partial = home / f".partial-{os.getpid()}-{uuid.uuid4().hex[:12]}"
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"cannot publish into {home}: {error.strerror}; mend export.path"
        ) from error
    try:
        if isinstance(model, Path):
            shutil.copytree(model, partial, dirs_exist_ok=True)
        else:
            model(partial)
            if not _is_saved_model(partial):
                raise ValueError(f"publishing {name!r}: the writer left no saved_model.pb")
        _sync_tree(partial)
        published = _rename_to_next_version(partial, home)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _sync(home)
    write_models_config(root)
    return published


def _is_saved_model(folder: Path) -> bool:
    return (folder / "saved_model.pb").is_file()


def _rename_to_next_version(partial: Path, home: Path) -> Path:
    while True:
        target = home / str(max(versions(home), default=0) + 1)
        try:
            # Fails where the target is there: a published version is never an empty folder.
            partial.rename(target)
            return target
        except OSError as error:
            if error.errno not in _TAKEN:
                raise


def _sync_tree(folder: Path) -> None:
    for parent, _, files in os.walk(folder, topdown=False):
        for file in files:
            _sync(Path(parent, file))
        _sync(Path(parent))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
