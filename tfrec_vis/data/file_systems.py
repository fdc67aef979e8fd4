"""File systems beyond those that TensorFlow has of its own."""

from __future__ import annotations

import tensorflow as tf

from tfrec_vis.errors import InputError


def load_file_system(path: str) -> None:
    """Makes ``tf.io.gfile`` and TFRecords know the path's scheme (``s3``, ``hdfs``, ...).

    TensorFlow has ``gs``; tensorflow-io adds the others in the process that imports it.

    Args:
        path: a path, or a URI such as ``s3://BUCKET/prepared``.

    Raises:
        InputError: neither of them knows the scheme.
    """
    scheme, found, _ = path.partition("://")
    if not found or scheme in tf.io.gfile.get_registered_schemes():
        return
    try:
        import tensorflow_io  # noqa: F401
    except (ImportError, NotImplementedError) as error:  # built for another TensorFlow
        raise InputError(
            f"{path}: {scheme}:// needs tensorflow-io, which does not load ({error}); install "
            "the version that goes with this TensorFlow"
        ) from error
    if scheme not in tf.io.gfile.get_registered_schemes():
        known = ", ".join(sorted(filter(None, tf.io.gfile.get_registered_schemes())))
        raise InputError(f"{path}: no file system is known for {scheme}://; choose among {known}")
