"""A made-up report in the shape of DESIGN 3.4, and pictures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tfrec_vis.evaluation.gallery import (
    AttentionExample,
    ClusterExample,
    EmbeddingMap,
    Failure,
    Gallery,
    MapPoint,
    Neighbours,
    Picture,
)
from tfrec_vis.evaluation.thumbnails import make_sprite

_MEANS = {
    ("none", "none", "none"): (0.600, 0.594),
    ("imagenet", "baseline", "vector"): (0.606, 0.607),
    ("imagenet", "baseline", "sim_score"): (0.622, 0.624),
    ("imagenet", "baseline", "cluster_id"): (0.617, 0.615),
    ("courier", "courier", "vector"): (0.609, 0.611),
    ("courier", "courier", "sim_score"): (0.628, 0.633),
    ("courier", "courier", "cluster_id"): (0.631, 0.636),
    ("truth", "oracle", "cluster_id"): (0.662, 0.665),
}


def comparison(a: str, difference: float, half: float = 0.007, p: float = 0.0001) -> dict[str, Any]:
    """A comparison with no image, its interval 2 x `half` wide."""
    return {
        "a": a,
        "b": "none/none",
        "ranker": "din",
        "protocol": "scratch",
        "metric": "auc",
        "difference": difference,
        "ci95": [difference - half, difference + half],
        "p_value": p,
        "p_holm": min(1.0, 7 * p),
        "test": "paired bootstrap over users and seeds, 10,000 replicates",
    }


def example_report(gain: float = 0.031, p: float = 0.0001, control: float = -0.001) -> dict:
    """A report whose chosen row gains `gain`, its shuffled control `control`."""
    rows, comparisons = [], []
    for (embedding, role, feature), (area, new) in _MEANS.items():
        if (embedding, feature) == ("courier", "cluster_id"):
            area, new = 0.600 + gain, 0.594 + gain
        for seed in range(3):
            wobble = 0.001 * (seed - 1)
            rows.append(
                {
                    "embedding": embedding,
                    "role": role,
                    "feature": feature,
                    "ranker": "din",
                    "protocol": "scratch",
                    "seed": seed,
                    "pretrain_seed": 0,
                    "auc": area + wobble,
                    "validation_auc": area + 0.003 - wobble,
                    "gauc": area - 0.01 + wobble,
                    "ndcg@10": area + 0.1,
                    "log_loss": 0.5 - area / 10,
                    "ece": 0.01,
                    "slices": {
                        "item_new": {"auc": new + wobble, "count": 5210},
                        "item_known": {"auc": area + 0.002 + wobble, "count": 14830},
                        "category=Dress": {"auc": area + 0.01, "count": 4000},
                        "category=Socks & <Tights>": {"auc": None, "count": 12},
                    },
                }
            )
        if embedding != "none":
            comparisons.append(comparison(f"{embedding}/{feature}", area - 0.600, p=p))
    against = comparison("courier/cluster_id", gain - 0.022) | {"b": "imagenet/sim_score"}
    return {
        "dataset": {"name": "made-up shop", "interactions": 31662},
        "split": {"fractions": [0.6, 0.7, 0.8], "test_rows": 20040},
        "settings": {"embed": {"clusters": 500}, "seed": 0},
        "primary": {
            "embedding": "courier",
            "feature": "cluster_id",
            "ranker": "din",
            "protocol": "scratch",
        },
        "rows": rows,
        "comparisons": [*comparisons, against],
        "controls": {"shuffled_images": comparison("shuffled/cluster_id", control, 0.004, 0.6)},
        "best_possible": {"auc": 0.712, "auc_item_new": 0.707},
        "sim_score_gap": {
            "courier": {"in_pretraining": 0.081, "later_train": 0.055, "test": 0.052},
            "supervised": {"in_pretraining": 0.20, "later_train": 0.03, "test": None},
        },
        "cost": {
            "seconds": {"prepare": 74.2, "pretrain": 1804, "embed": 61, "evaluate": 3745.5},
            "peak_memory_mb": 9120,
        },
    }


_WARM = 0.4
"""What of the gain is left under warm start."""
_SLICES = {
    "popularity=0": (5210, 0.006),
    "popularity=1-4": (6100, 0.003),
    "popularity=5-19": (5230, 0.0),
    "popularity=20+": (3500, -0.004),
    "activity=0": (900, -0.05),
    "activity=1-4": (8140, 0.0),
    "activity=5+": (11000, 0.01),
    "season=summer": (12000, 0.001),
    "season=winter": (8040, -0.002),
}


def full_report() -> dict[str, Any]:
    """An example with both protocols, two rankers, two pre-trainings and all optional fields."""
    report = example_report()
    report["dataset"]["categories"] = 2
    scratch = report["rows"]
    for run in scratch:
        run["epochs"] = 2
        run["gauc_left_out"] = {"groups": 131, "rows": 1240}
        for name, (count, more) in _SLICES.items():
            run["slices"][name] = {"auc": run["auc"] + more, "count": count}
    scratch += [
        {**run, "pretrain_seed": 1, "auc": run["auc"] + 0.002}
        for run in scratch
        if run["role"] == "courier"
    ]

    def warm(area: float | None) -> float | None:
        return None if area is None else 0.604 + _WARM * (area - 0.600)

    def slices(run: dict[str, Any]) -> dict[str, Any]:
        return {n: {**part, "auc": warm(part["auc"])} for n, part in run["slices"].items()}

    report["rows"] += [
        {
            **run,
            "protocol": "warm_start",
            "auc": warm(run["auc"]),
            "slices": slices(run),
            "epochs": 0 if run["role"] == "none" and run["seed"] < 2 else 1,
        }
        for run in scratch
    ]
    report["rows"] += [
        {**run, "ranker": "dcn", "auc": run["auc"] - 0.003}
        for run in scratch
        if run["feature"] in ("none", "cluster_id")
    ]
    for one in report["comparisons"]:
        low, high = one["ci95"]
        one["delong"] = {"p_value": 0.00002, "ci95": [low + 0.001, high - 0.001]}
    report["comparisons"] += [
        {
            **one,
            "protocol": "warm_start",
            "difference": _WARM * one["difference"],
            "ci95": [_WARM * end for end in one["ci95"]],
        }
        for one in report["comparisons"]
    ]
    control = report["controls"]["shuffled_images"]
    report["controls"]["shuffled_images_warm_start"] = {
        **control,
        "protocol": "warm_start",
        "difference": 0.0004,
        "ci95": [-0.002, 0.003],
    }
    report["controls"]["shuffled_against_primary"] = comparison(
        "courier/cluster_id", 0.032, p=0.0002
    ) | {"b": "shuffled/cluster_id"}
    report["controls"]["popularity_only"] = {
        "auc": 0.552,
        "auc_ci95": [0.541, 0.563],
        "auc_item_new": 0.503,
        "auc_frozen": 0.529,
        "difference": 0.023,
        "ci95": [0.014, 0.031],
        "sampled": True,
        "features": ["clicks", "clicks of 30 days", "days since the first click"],
    }
    for one in report["comparisons"]:
        one["family"] = "confirmatory" if one["a"] == "courier/cluster_id" else "exploratory"
    report["best_other"] = [
        {"embedding": "imagenet", "feature": "sim_score", "ranker": "din", "protocol": protocol}
        for protocol in ("scratch", "warm_start")
    ]
    model = {"embedding": "courier", "feature": "cluster_id", "ranker": "din"}
    report["gates"] = [
        {
            **model,
            "protocol": "scratch",
            "gate": gate,
            "category": category,
            "value": value,
            "sd": 0.02,
        }
        for gate in ("sim_score", "cluster_id")
        for category, value in (("Dress", 0.71), ("Socks & <Tights>", 0.48), ("", 0.5))
    ]
    report["gates"][1]["sd"] = None
    predicted = np.linspace(0.05, 0.41, 15)
    report["reliability"] = [
        {
            **part,
            "ranker": "din",
            "protocol": protocol,
            "bins": [
                {"count": 1336, "predicted": float(p), "clicked": float(p + bent * (p - 0.2))}
                for p in predicted
            ]
            + [{"count": 0, "predicted": None, "clicked": None}],
        }
        for protocol in ("scratch", "warm_start")
        for part, bent in (
            ({"embedding": "none", "feature": "none"}, -0.3),
            ({"embedding": "courier", "feature": "cluster_id"}, 0.15),
        )
    ]
    report["cost"]["parts"] = {"pretrain/courier": 1804.0, "embed/courier": 31.5}
    return report


def picture(name: str, seed: int, item_id: str = "0108") -> Picture:
    """A drawn product."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (96, 128), (245, 245, 245))
    draw = ImageDraw.Draw(image)
    color = tuple(int(v) for v in rng.integers(40, 210, 3))
    if seed % 2:
        draw.ellipse((16, 30, 80, 100), fill=color)
    else:
        draw.polygon([(30, 20), (66, 20), (84, 116), (12, 116)], fill=color)
    file = io.BytesIO()
    image.save(file, "JPEG")
    return Picture(f"{item_id}{seed:06d}", name, file.getvalue())


def example_gallery(
    title: str = "Jersey dress with long sleeves and a belt", item_id: str = "0108"
) -> Gallery:
    """A few pictures in each place: ten products with five neighbours each, one history, ..."""
    pictures = [picture(title if i % 3 else "Top", i, item_id) for i in range(16)]
    blank = Picture(item_id, title, b"")
    return Gallery(
        neighbours=tuple(
            Neighbours(
                pictures[i], tuple((pictures[(i + j) % 16], 0.98 - 0.07 * j) for j in range(1, 6))
            )
            for i in range(10)
        ),
        attention=(
            AttentionExample(
                tuple(zip(pictures[:5], (0.42, 0.31, 0.15, 0.08, 0.04), strict=True)),
                pictures[7],
                True,
            ),
        ),
        embedding="courier",
        clusters=(
            ClusterExample(17, "largest", 1204, "Dress", 0.61, tuple(pictures[:4])),
            ClusterExample(3, "purest", 9, title, 1.0, tuple(pictures[4:7])),
            ClusterExample(5, "random", 1, "", 0.0, (pictures[9],)),
        ),
        map=EmbeddingMap(
            tuple(MapPoint(i % 4 / 4, i // 4 / 4, i % 3 - 1, title) for i in range(16)),
            make_sprite([one.jpeg for one in pictures]),
            "PCA",
            5,
        ),
        failures=(
            Failure(pictures[2], tuple(pictures[3:7]), True, 0.012, 4.42),
            Failure(blank, (), False, 0.731, 1.31),
        ),
    )
