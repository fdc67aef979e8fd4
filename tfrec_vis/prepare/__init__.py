"""Beam transforms: raw logs, catalogue and photos -> the prepared format."""

from tfrec_vis.prepare.run import prepare
from tfrec_vis.prepare.settings import PrepareSettings

__all__ = ["PrepareSettings", "prepare"]
