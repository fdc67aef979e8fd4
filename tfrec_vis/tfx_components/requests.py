"""The component that turns prepared impressions into requests to the exported ranker."""

# No `from __future__ import annotations`: TFX reads the annotations as objects.

from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from tfrec_vis.data import read_impressions, read_items, read_manifest
from tfrec_vis.serving.ranker_export import MAX_HISTORY
from tfrec_vis.tfx_components.artifacts import PreparedData
from tfrec_vis.tfx_components.stage_runner import local_path

_SPLITS = ("validation", "test")


@tfx.dsl.components.component
def RankerRequests(
    prepared: tfx.dsl.components.InputArtifact[PreparedData],
    requests: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Examples],
) -> None:
    """Rows as the ranker's signature ``examples`` reads them, with the label, for TFMA.

    Args:
        prepared: the data.
        requests: output, splits "validation" and "test".
    """
    for split in _SPLITS:
        folder = local_path(requests.uri) / f"Split-{split}"
        folder.mkdir(parents=True)
        write_requests(local_path(prepared.uri), split, folder / "requests-00000-of-00001.gz")
    requests.split_names = artifact_utils.encode_split_names(list(_SPLITS))
    examples_utils.set_payload_format(requests, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(requests, "tfrecords_gzip")


def write_requests(prepared: Path, split: str, out: Path) -> None:
    """Writes the rows of a split as tf.Examples, gzipped TFRecord.

    Each has the ranker's inputs (user_id, item_id, history_item_id, timestamp, context), the label
    ``clicked``, and ``item_seen_in_training`` to slice by.

    Args:
        prepared: folder of the prepared data.
        split: "train", "validation" or "test".
        out: the file.
    """
    history = min(read_manifest(prepared)["settings"]["max_history"], MAX_HISTORY)
    rows = read_impressions(prepared, split, history)
    item_id = read_items(prepared, pictures=False).item_id
    texts = {"user_id": rows.user_id, "item_id": item_id[rows.item_index], **rows.context}
    numbers = {
        "timestamp": rows.timestamp,
        "clicked": rows.clicked,
        "item_seen_in_training": rows.item_seen_in_training,
    }
    with tf.io.TFRecordWriter(str(out), "GZIP") as writer:
        for row in range(len(rows)):
            clicks = rows.history[row]
            features = {name: _text(values[row : row + 1]) for name, values in texts.items()}
            features |= {name: _number(values[row]) for name, values in numbers.items()}
            features["history_item_id"] = _text(item_id[clicks[clicks > 0]])
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


def _text(values: np.ndarray) -> tf.train.Feature:
    encoded = [str(value).encode() for value in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))


def _number(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))
