"""tensorflow-metadata schemas of the record types, for TFDV, TFX and readers of other makes."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec_vis.data.records import (
    FeatureSpec,
    impression_record,
    item_record,
    page_record,
)

_FLAGS = {"clicked", "in_pretraining", "item_seen_in_training"}


def schemas(item_features: Sequence[str], context_features: Sequence[str]) -> dict[str, str]:
    """The schemas of ``items``, ``pages`` and ``impressions`` as text protos."""
    specs = {
        "items": item_record(item_features),
        "pages": page_record(),
        "impressions": impression_record(context_features),
    }
    return {name: text_format.MessageToString(_schema(spec)) for name, spec in specs.items()}


def _schema(spec: FeatureSpec) -> schema_pb2.Schema:
    schema = schema_pb2.Schema()
    for name, column in spec.items():
        feature = schema.feature.add(name=name)
        feature.type = schema_pb2.BYTES if column.dtype == tf.string else schema_pb2.INT
        if isinstance(column, tf.io.FixedLenFeature):
            feature.presence.min_fraction = 1.0
            feature.presence.min_count = 1
            feature.shape.SetInParent()
        else:
            feature.value_count.min = 0
        if name in _FLAGS:
            feature.int_domain.min, feature.int_domain.max = 0, 1
        if name == "image":
            feature.image_domain.SetInParent()
    return schema
