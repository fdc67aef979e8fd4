"""Stages of a run in a work folder: skipping, resuming, renaming when done."""

from tfrec_vis.prepare.options import PrepareOptions
from tfrec_vis.workflow.run import STAGES, run_recipe
from tfrec_vis.workflow.similar import similar_items
from tfrec_vis.workflow.stage import Stage
from tfrec_vis.workflow.work_folder import locked

__all__ = ["STAGES", "PrepareOptions", "Stage", "locked", "run_recipe", "similar_items"]
