"""Seeing a table of stitches: the accuracy-cost curve as a picture and as an interactive page."""

from snnet.report.bubbles import Bubble, BubbleGroup, draw_bubbles, write_bubble_page
from snnet.report.compare import Panel, draw_comparison
from snnet.report.masks import draw_masks
from snnet.report.page import write_page, write_report
from snnet.report.plots import draw_curve
from snnet.report.searched import draw_search
from snnet.report.training import draw_training

__all__ = [
    "Bubble",
    "BubbleGroup",
    "Panel",
    "draw_bubbles",
    "draw_comparison",
    "draw_curve",
    "draw_masks",
    "draw_search",
    "draw_training",
    "write_bubble_page",
    "write_page",
    "write_report",
]
