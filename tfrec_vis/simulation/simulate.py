"""Writing the simulated shop: pictures, log, truth, recipe."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import yaml

from tfrec_vis.errors import InputError
from tfrec_vis.metrics import auc
from tfrec_vis.simulation import attributes as looks
from tfrec_vis.simulation.attributes import Attributes, draw_attributes
from tfrec_vis.simulation.log import START, Log, draw_log, first_days
from tfrec_vis.simulation.parameters import Parameters
from tfrec_vis.simulation.picture import draw_picture
from tfrec_vis.simulation.texts import draw_texts
from tfrec_vis.simulation.write_tables import item_name, write_items, write_log, write_truth

_CLICK_MODEL = (
    "P(click) = sigmoid(bias + match * m(intention, item) + popularity * p(item) + "
    "position * place), place = 0 for the first item; m = 0.4 [shapes equal] + 0.35 colour + "
    "0.25 [patterns equal], colour = 1 for equal colours, 0.5 for neighbours on the colour "
    "circle, else 0; p is the item's popularity, standard normal"
)
_TRUTH = {
    "probabilities": "truth/probabilities.parquet",
    "attributes": "truth/attributes.parquet",
    "embedding": "truth/embedding.parquet",
}


def simulate(
    out: str | Path,
    users: int = 2000,
    items: int = 3000,
    seed: int = 0,
    pages_per_user: int = 12,
    image_size: int = 96,
    recipe_sections: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Draws a shop and writes it, ready to be run: log, catalogue, photos, truth, recipe.

    What decides clicks is visible in the photos and absent from titles and categories; see
    ``Parameters`` and ``draw_log`` for the model. Equal arguments give equal bytes.

    Args:
        out: folder to write; must not exist or be empty. Until all is written it is
            ``OUT.partial``.
        users: number of users.
        items: number of items.
        seed: what everything is drawn from.
        pages_per_user: mean page views of a user.
        image_size: side of the photos, in pixels.
        recipe_sections: further sections of ``recipe.yaml`` (``{"pretrain": {...}}``); their keys
            are added to, or replace, those of ``source`` and ``evaluate`` written here.

    Returns:
        The manifest, as in ``manifest.json``.

    Raises:
        InputError: ``out`` is a file or not empty, or a size is too small.
    """
    out = Path(out)
    parameters = Parameters(users, items, seed, pages_per_user, image_size)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not an empty folder; name another one")
    partial = out.with_name(out.name + ".partial")
    if partial.exists():
        shutil.rmtree(partial)
    (partial / "photos").mkdir(parents=True)
    (partial / "truth").mkdir()

    attributes = draw_attributes(items, _generator(seed, "attributes"))
    popularity = _generator(seed, "popularity").standard_normal(items)
    first_day = first_days(parameters, _generator(seed, "first_days"))
    log = draw_log(attributes.look(), popularity, first_day, parameters, _generator(seed, "log"))
    titles, categories = draw_texts(items, _generator(seed, "texts"))

    _write_photos(partial / "photos", attributes, parameters)
    write_items(partial / "items.csv", titles, categories, first_day)
    write_log(partial / "log.csv", log)
    write_truth({name: partial / path for name, path in _TRUTH.items()}, log, attributes)
    manifest = _manifest(parameters, log, first_day)
    _write_text(partial / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    recipe = yaml.safe_dump(_recipe(recipe_sections or {}), sort_keys=False)
    _write_text(partial / "recipe.yaml", recipe)
    os.replace(partial, out)
    return manifest


_STREAMS = ("attributes", "popularity", "first_days", "log", "texts", "photos")


def _generator(seed: int, stream: str, index: int = 0) -> np.random.Generator:
    """An independent stream of random numbers for each purpose."""
    return np.random.default_rng([seed, _STREAMS.index(stream), index])


def _write_photos(folder: Path, attributes: Attributes, parameters: Parameters) -> None:
    names = attributes.names()

    def write(item: int) -> None:
        rng = _generator(parameters.seed, "photos", item)
        picture = draw_picture(names[item], parameters.image_size, rng)
        picture.save(folder / f"{item_name(item)}.jpg", quality=90)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(write, range(parameters.items)):
            pass


def _manifest(parameters: Parameters, log: Log, first_day: np.ndarray) -> dict[str, object]:
    return {
        "seed": parameters.seed,
        "parameters": asdict(parameters),
        "click_model": {
            "formula": _CLICK_MODEL,
            "weights": looks.WEIGHTS,
            **{
                name: getattr(parameters, name)
                for name in ("bias", "match", "popularity", "position")
            },
        },
        "attributes": {
            "shape": list(looks.SHAPES),
            "colour": list(looks.COLOURS),
            "pattern": list(looks.PATTERNS),
            "texture": list(looks.TEXTURES),
            "background": list(looks.BACKGROUNDS),
        },
        "truth": _TRUTH,
        "start": START,
        "counts": {
            "users": parameters.users,
            "items": parameters.items,
            "items_appearing_later": int((first_day > 0).sum()),
            "pages": len(log.user),
            "impressions": log.clicked.size,
            "clicks": int(log.clicked.sum()),
        },
        "click_rate": float(log.clicked.mean()),
        "best_possible": {"auc": auc(log.clicked.ravel(), log.probability.ravel())},
    }


def _recipe(sections: Mapping[str, object]) -> dict[str, object]:
    columns = ("user_id", "item_id", "timestamp", "clicked", "page_id")
    recipe: dict[str, object] = {
        "source": {
            "kind": "table",
            "interactions": {
                "path": "log.csv",
                "columns": {name: name for name in columns},
                "features": ["position"],
            },
            "catalogue": {
                "path": "items.csv",
                "columns": {name: name for name in ("item_id", "image", "title", "category")},
            },
            "images": "photos",
        },
        "evaluate": {"truth": "truth"},
    }
    for name, section in sections.items():
        base = recipe.get(name)
        both = isinstance(base, dict) and isinstance(section, Mapping)
        recipe[name] = {**base, **section} if both else section  # type: ignore[dict-item]
    return recipe


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
