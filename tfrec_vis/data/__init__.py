"""The prepared format and its tf.data readers."""

from tfrec_vis.data.batch_plan import plan_batches
from tfrec_vis.data.images import decode_letterboxed, decode_letterboxed_batch
from tfrec_vis.data.impressions import Impressions, impressions, read_impressions
from tfrec_vis.data.items import Items, items, read_items
from tfrec_vis.data.manifest import PreparedDataError, read_manifest
from tfrec_vis.data.page_pictures import decode_pictures
from tfrec_vis.data.page_table import Pages, read_pages
from tfrec_vis.data.pages import pages
from tfrec_vis.data.records import impression_record, item_record, page_record
from tfrec_vis.data.shards import SkippedShardWarning

__all__ = [
    "Impressions",
    "Items",
    "Pages",
    "PreparedDataError",
    "SkippedShardWarning",
    "decode_letterboxed",
    "decode_letterboxed_batch",
    "decode_pictures",
    "impression_record",
    "impressions",
    "item_record",
    "items",
    "page_record",
    "pages",
    "plan_batches",
    "read_impressions",
    "read_items",
    "read_manifest",
    "read_pages",
]
