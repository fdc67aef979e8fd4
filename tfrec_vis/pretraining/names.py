"""The names that a recipe knows pre-trainings by."""

from __future__ import annotations

from typing import Any

METHODS = ("courier",)
UNTRAINED = ("random", "imagenet")
"""Encoders as they are before pre-training, with these weights."""

ABLATIONS: dict[str, dict[str, Any]] = {}
"""COURIER with some settings of ``pretrain`` replaced."""
