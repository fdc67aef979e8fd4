"""The simulated shop: pictures, users and clicks with a known truth."""

from __future__ import annotations

from tfrec_vis.simulation.parameters import Parameters
from tfrec_vis.simulation.simulate import simulate

__all__ = ["Parameters", "simulate"]
