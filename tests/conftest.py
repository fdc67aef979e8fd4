from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Threads of boosted trees and faiss that wait do not take a core from what else runs here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import tfrec_vis  # noqa: E402, F401  (selects tf_keras before any test imports TensorFlow)

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared/data"


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spares AutoGraph its way through all of tf_keras: most of the suite's time is tracing."""
    if "tensorflow" in sys.modules:
        from tensorflow.python.autograph.core import config, config_lib

        config.CONVERSION_RULES = (config_lib.DoNotConvert("tf_keras"), *config.CONVERSION_RULES)


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Every test starts from the same random state."""
    random.seed(0)
    np.random.seed(0)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(0)


@pytest.fixture(scope="session")
def hm_fashion() -> Path:
    """The H&M sample: transactions_train.csv, articles.csv, images/."""
    path = SHARED_DATA / "hm-fashion"
    if not (path / "transactions_train.csv").is_file():
        pytest.skip("needs the H&M sample at ../shared/data/hm-fashion")
    return path


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders (simulated, prepared) of a tiny shop that went through the real stages."""
    from prepared_shop import write

    return write(tmp_path_factory.mktemp("small_shop"))


@pytest.fixture(scope="session")
def simulated_shop(small_shop: tuple[Path, Path]) -> Path:
    """A simulated shop: 60 users, 60 items, pictures of 32 px. Read only."""
    return small_shop[0]


@pytest.fixture(scope="session")
def prepared_shop(small_shop: tuple[Path, Path]) -> Path:
    """The simulated shop, prepared. Read only: copy it to change it."""
    return small_shop[1]


@pytest.fixture(scope="session")
def embedded_shop(simulated_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the pictures in the pages, in blocks of 16. Read only."""
    from prepared_shop import prepare_shop

    out = tmp_path_factory.mktemp("embedded_shop") / "prepared"
    return prepare_shop(simulated_shop, out, image_join="embedded", block_pages=16)


@pytest.fixture(scope="session")
def tiny_models(prepared_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports of untrained models of the prepared shop: encoder, ranker, similar. Read only."""
    from tiny_models import write_tiny_models

    return write_tiny_models(prepared_shop, tmp_path_factory.mktemp("tiny_models"))
