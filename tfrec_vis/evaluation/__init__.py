"""The experiment and its report."""

from tfrec_vis.evaluation.experiment import check_truth, run_experiment
from tfrec_vis.evaluation.gallery import AttentionExample, Gallery, Neighbours, Picture
from tfrec_vis.evaluation.pictures import choose_pictures
from tfrec_vis.evaluation.popularity import item_statistics, popularity_only
from tfrec_vis.evaluation.purchases import purchase_rows
from tfrec_vis.evaluation.report_html import render_report
from tfrec_vis.evaluation.report_text import as_markdown, print_table
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.evaluation.summary import verdict
from tfrec_vis.evaluation.truth import Truth
from tfrec_vis.evaluation.vectors import Vectors

__all__ = [
    "AttentionExample",
    "EvaluateSettings",
    "Gallery",
    "Neighbours",
    "Picture",
    "Truth",
    "Vectors",
    "as_markdown",
    "check_truth",
    "choose_pictures",
    "item_statistics",
    "popularity_only",
    "print_table",
    "purchase_rows",
    "render_report",
    "run_experiment",
    "verdict",
]
