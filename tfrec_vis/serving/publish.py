"""Puts finished SavedModels where TensorFlow Serving looks, whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tfrec_vis.errors import InputError
from tfrec_vis.serving.abandoned import partial_name, remove_abandoned
from tfrec_vis.serving.models_config import LOCK, publishers_turn, replace_models_config
from tfrec_vis.serving.versions import versions

Model = Path | Callable[[Path], None]
"""The folder of a SavedModel, which is copied; or a function that writes one into the empty
folder it is given, such as ``lambda path: tf.saved_model.save(m, path)``."""
Check = Callable[[Path], None]
"""Raises where the model in the folder must not be published."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def publish(model: Model, root: Path, name: str, check: Check | None = None) -> Path:
    """Publishes a SavedModel as the next version ``ROOT/NAME/N``.

    The model is written to ``ROOT/NAME/.partial-...``, synced to disk, checked and renamed, so a
    reader sees all of it or nothing, and what a killed publisher leaves behind is never taken for
    a version; the next publisher removes it when it is a day old. Of several publishers at the
    same time each gets a number of its own. Then ``ROOT/models.config`` is written anew.

    Args:
        model: the folder of a SavedModel, which is copied; or a function that writes one into
            the empty folder it is given, such as ``lambda path: tf.saved_model.save(m, path)``.
        root: the folder that holds all published models; made if it is not there.
        name: the model's name for TensorFlow Serving.
        check: called with the complete, synced folder before it is renamed. If it raises, nothing
            is published and nothing is left. It may add files to ``assets.extra/``.

    Returns:
        The folder of the new version.

    Raises:
        InputError: the name cannot be a folder's, `model` is a folder without SavedModel, or
            ``ROOT`` or ``ROOT/NAME`` cannot be written.
        ValueError: the function wrote no SavedModel.
    """
    return publish_together({name: model}, root, {name: check} if check else {})[name]


def publish_together(
    models: Mapping[str, Model], root: Path, checks: Mapping[str, Check] | None = None
) -> dict[str, Path]:
    """Publishes models that belong together, as ``publish`` does each of them.

    All are written and synced, then all are checked, before the first one is renamed: a fault in
    one publishes none.

    Args:
        models: what ``publish`` takes, by name; published in this order.
        root: the folder that holds all published models; made if it is not there.
        checks: by name, called in the order of `models`.

    Returns:
        The folders of the new versions by name.

    Raises:
        InputError, ValueError: as ``publish``.
    """
    for name, model in models.items():
        if not _NAME.fullmatch(name):
            raise InputError(
                f"model name {name!r}: use letters, digits, '_', '-' and '.', a letter or digit "
                "first"
            )
        if isinstance(model, Path) and not _is_saved_model(model):
            raise InputError(f"{model}: no saved_model.pb in it; name the folder of a SavedModel")

    root = root.absolute()
    _check_writable(root)
    published = {}
    with ExitStack() as stack:
        partials = {name: stack.enter_context(_partial(root / name)) for name in models}
        for name, partial in partials.items():
            _write(models[name], partial, name)
            _sync_tree(partial)
        for name, partial in partials.items():
            if checks and name in checks:
                checks[name](partial)
                _sync_tree(partial)
        with publishers_turn(root):  # so that the newest versions are of one run
            for name, partial in partials.items():
                published[name] = _rename_to_next_version(partial, root / name)
                _sync(root / name)
            _sync(root)  # where the models' folders are new
            replace_models_config(root)
    return published


def _check_writable(root: Path) -> None:
    """Raises InputError where versions could be published, but not ``models.config``."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(root, error) from error
    lock = root / LOCK
    if not os.access(root, os.W_OK | os.X_OK) or lock.exists() and not os.access(lock, os.W_OK):
        raise _not_writable(root, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _not_writable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot publish into {folder}: {error.strerror}; let this user write there, or name "
        "another folder (export.path)"
    )


@contextmanager
def _partial(home: Path) -> Iterator[Path]:
    """An empty folder beside the versions, gone at the end unless it was renamed."""
    partial = home / partial_name()
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise _not_writable(home, error) from error
    try:
        remove_abandoned(home)
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(model: Model, partial: Path, name: str) -> None:
    if isinstance(model, Path):
        shutil.copytree(model, partial, dirs_exist_ok=True)
        return
    model(partial)
    if not _is_saved_model(partial):
        raise ValueError(f"publishing {name!r}: the writer left no saved_model.pb")


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
