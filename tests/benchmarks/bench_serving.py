"""Load on a served ranker: latency at rising concurrency, nothing lost, overload said clearly.

``make bench`` reports the targets; ``python tests/benchmarks/bench_serving.py`` writes
docs/results/serving.md. The server (tests/serving/servicer.py), and two clients that share the
concurrency as threads, are processes of their own.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs/results/serving.md"
ITEMS, USERS, EVENTS, WIDTH, HISTORY, CLUSTERS = 20_000, 2_000, 100_000, 256, 50, 500
FEATURE, BATCH = "sim_score+cluster_id", 100
LEVELS, SECONDS, WARM_UP = (1, 2, 4, 8, 16, 32), 10.0, 3.0
WORKERS, QUEUE, OVERLOAD_QUEUE, OVERLOAD, TIMEOUT = 2, 64, 4, 64, 10.0
PROCESSES = 2
SLOWEST_MS = 10.0
START = 1_600_000_000


def rows() -> list[dict]:
    """p99 at concurrency 1, requests lost, and overload."""
    measured = measure()
    first, levels, overload = measured["levels"][0], measured["levels"], measured["overload"]
    lost = sum(level["sent"] - level["answers"].get("OK", 0) for level in levels)
    others = set(overload["answers"]) - {"OK", "RESOURCE_EXHAUSTED"}
    said = not others and overload["answers"].get("RESOURCE_EXHAUSTED", 0) > 0
    recovered = measured["after"]["answers"] == {"OK": measured["after"]["sent"]}
    return [
        {
            "what": f"served ranker ({ITEMS:,} items, {FEATURE}, histories of {HISTORY}): p99 of a "
            f"request of {BATCH} rows by gRPC",
            "target": f"< {SLOWEST_MS:.0f} ms",
            "measured": f"{first['p99']:.1f} ms (p50 {first['p50']:.1f} ms, {first['sent']} "
            "requests)",
            "holds": first["p99"] < SLOWEST_MS,
        },
        {
            "what": f"served ranker: requests sent at concurrency {LEVELS[0]} to {LEVELS[-1]} and "
            "not answered with predictions",
            "target": "0",
            "measured": f"{lost} of {sum(level['sent'] for level in levels):,}",
            "holds": lost == 0,
        },
        {
            "what": f"served ranker: concurrency {OVERLOAD} on a queue of {OVERLOAD_QUEUE}",
            "target": "the rest RESOURCE_EXHAUSTED, then all answered again",
            "measured": f"{_counted(overload)}; slowest {overload['slowest']:.0f} ms; after it "
            f"{_counted(measured['after'])}",
            "holds": said and recovered,
        },
    ]


def measure() -> dict[str, Any]:
    """Figures of every level, of REST, of overload and of the time after it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        subprocess.run([sys.executable, __file__, "--export", name], check=True, env=_here())
        with _clients() as ask:
            with _server(root, QUEUE) as (grpc, rest):
                _load(ask, grpc, "grpc", LEVELS[-1], WARM_UP)
                levels = [_load(ask, grpc, "grpc", level, SECONDS) for level in LEVELS]
                _load(ask, rest, "rest", 1, WARM_UP)
                by_rest = _load(ask, rest, "rest", 1, SECONDS)
            with _server(root, OVERLOAD_QUEUE) as (grpc, _):
                _load(ask, grpc, "grpc", 1, WARM_UP)
                overload = _load(ask, grpc, "grpc", OVERLOAD, SECONDS)
                after = _load(ask, grpc, "grpc", 1, WARM_UP)
    return {"levels": levels, "rest": by_rest, "overload": overload, "after": after}


def _load(ask: Any, address: str, protocol: str, concurrency: int, seconds: float) -> dict:
    """Requests one after the other in each of `concurrency` threads; latency of what was OK."""
    at_once = [len(range(i, concurrency, PROCESSES)) for i in range(PROCESSES)]
    orders = [[address, protocol, threads, seconds] for threads in at_once]
    parts = ask(orders)
    took = [ms for part in parts for ms in part["ms"]]
    answers = sum((Counter(part["answers"]) for part in parts), Counter())
    return {
        "concurrency": concurrency,
        "sent": sum(part["sent"] for part in parts),
        "answers": dict(answers),
        "p50": float(np.percentile(took or [np.inf], 50)),
        "p99": float(np.percentile(took or [np.inf], 99)),
        "slowest": max(part["slowest"] for part in parts),
        "rate": len(took) / max(part["seconds"] for part in parts),
        "example": next((part["example"] for part in parts if part["example"]), ""),
    }


@contextlib.contextmanager
def _server(root: Path, queue: int) -> Iterator[tuple[str, str]]:
    options = ["--workers", str(WORKERS), "--queue", str(queue)]
    command = [sys.executable, str(ROOT / "tests/serving/servicer.py"), str(root), *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_here()
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        grpc, rest = json.loads(process.stdout.readline())
        yield grpc, rest
        process.stdin.close()


@contextlib.contextmanager
def _clients() -> Iterator[Any]:
    """Client processes, and a function that gives each an order and waits for their figures."""
    command = [sys.executable, __file__, "--client"]
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_here()
                )
            )
            for _ in range(PROCESSES)
        ]

        def ask(orders: list[Any]) -> list[dict[str, Any]]:
            for process, order in zip(processes, orders, strict=True):
                assert process.stdin is not None
                process.stdin.write(f"{json.dumps(order)}\n")
                process.stdin.flush()
            return [json.loads(process.stdout.readline()) for process in processes]

        yield ask
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()


def _client() -> None:
    """For each order that comes as a line, figures of the requests sent."""
    from tfrec_vis.serving import Client

    requests = _requests()
    for line in sys.stdin:
        address, protocol, threads, seconds = json.loads(line)
        with (
            Client(address, protocol=protocol, timeout=TIMEOUT, retries=0) as client,
            ThreadPoolExecutor(max(threads, 1)) as pool,
        ):
            started = time.perf_counter()  # the first client imports TensorFlow
            until = started + seconds
            asking = [pool.submit(_ask, client, requests, until, 7 * i) for i in range(threads)]
            asked = [request for thread in asking for request in thread.result()]
        figures = {
            "sent": len(asked),
            "answers": Counter(code for code, _, _ in asked),
            "ms": [ms for code, ms, _ in asked if code == "OK"],
            "slowest": max((ms for _, ms, _ in asked), default=0.0),
            "seconds": time.perf_counter() - started,
            "example": next((said for _, _, said in asked if said), ""),
        }
        print(json.dumps(figures), flush=True)


def _ask(
    client: Any, requests: list[dict[str, np.ndarray]], until: float, first: int
) -> list[tuple[str, float, str]]:
    """Status, milliseconds and error of each request, sent one after the other.

    One that never came back would keep the benchmark from ending; an answer of another kind is
    LOST.
    """
    from tfrec_vis.serving import ServingError

    asked = []
    while (started := time.perf_counter()) < until:
        request = requests[(first + len(asked)) % len(requests)]
        try:
            scores = client.predict("ranker", request)["ctr"]
            code, said = "OK" if scores.shape == (BATCH,) else "LOST", ""
        except ServingError as error:
            code, said = error.code, str(error)
        asked.append((code, 1000 * (time.perf_counter() - started), said))
    return asked


def _requests() -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(os.getpid())
    return [
        {
            "user_id": random.integers(0, USERS, BATCH).astype(str),
            "item_id": random.integers(1, ITEMS + 1, BATCH).astype(str),
            "history_item_id": random.integers(1, ITEMS + 1, [BATCH, HISTORY]).astype(str),
            "timestamp": START + random.integers(0, 10**8, BATCH),
        }
        for _ in range(50)
    ]


def _export(root: Path) -> None:
    """An untrained ranker of a catalogue like hm-fashion's."""
    from tfrec_vis.ranking import Ranker, RankerTables
    from tfrec_vis.serving import export_ranker, publish

    random = np.random.default_rng(0)
    kinds = (ITEMS + 1, 61, 956, 12, 35)
    values = np.stack([random.integers(0, k, ITEMS + 1) for k in kinds], axis=1).astype(np.int32)
    tables = RankerTables(
        history=HISTORY,
        item_id=np.array(["", *map(str, range(1, ITEMS + 1))]),
        attributes=tuple(f"attribute_{a}" for a in range(len(kinds))),
        values=values,
        buckets=tuple(np.arange(k, dtype=np.int32) for k in kinds),
        rarity=np.ones(values.shape, np.float32),
        user_id=np.arange(USERS).astype(str),
        context={},
        click_item=random.integers(1, ITEMS + 1, EVENTS),
        click_time=START + random.integers(0, 10**8, EVENTS),
        shown_item=np.zeros(0, np.int64),
        shown_time=np.zeros(0, np.int64),
    )
    ranker = Ranker(tables, FEATURE, visual={"vector_dim": WIDTH, "clusters": CLUSTERS})
    vectors = random.normal(size=[ITEMS + 1, WIDTH]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    clusters = random.integers(0, CLUSTERS, ITEMS + 1)
    vectors[0], clusters[0] = 0, -1
    assert ranker.visual is not None
    ranker.visual.set_tables(vectors=vectors, clusters=clusters)
    publish(lambda path: export_ranker(ranker, tables, path), root, "ranker")


def _here() -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests/serving")])
    return {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}


def _counted(level: dict[str, Any]) -> str:
    counts = ", ".join(f"{count:,} {code}" for code, count in sorted(level["answers"].items()))
    return f"{level['sent']:,} sent: {counts}"


def page(measured: dict[str, Any], seconds: float, load: float) -> str:
    """docs/results/serving.md."""
    head = "by | concurrency | p50 ms | p99 ms | slowest ms | requests/s | sent | answered | errors"
    lines = [f"| {head} |", "|---" * 9 + "|"]
    for by, level in [*(("gRPC", lv) for lv in measured["levels"]), ("REST", measured["rest"])]:
        good = level["answers"].get("OK", 0)
        lines.append(
            f"| {by} | {level['concurrency']} | {level['p50']:.1f} | {level['p99']:.1f} | "
            f"{level['slowest']:.0f} | {level['rate']:.0f} | {level['sent']:,} | {good:,} | "
            f"{level['sent'] - good} |"
        )
    table = "\n".join(lines)
    overload, after = measured["overload"], measured["after"]
    return f"""# Serving

Command: `python tests/benchmarks/bench_serving.py`

A ranker (DIN, `{FEATURE}`, untrained; {ITEMS:,} items, vectors of {WIDTH}, {CLUSTERS} clusters,
histories of {HISTORY} clicks, {EVENTS:,} dated clicks) answers requests of {BATCH} rows, random and
full. It is served by `tests/serving/servicer.py`, a Python server of TensorFlow Serving's protocols
({WORKERS} requests computed at a time, {QUEUE} more may wait); TensorFlow Serving was not at hand.
`tfrec_vis.serving.Client` asks without retries from {PROCESSES} processes that share the
concurrency as threads, each with its next request as soon as the last is answered, for
{SECONDS:.0f} s a line, after a warm-up. Latency is the client's: encoding, sending, queueing,
computing, decoding.

{table}

Clients and server share the cores, so requests wait for each other from concurrency {WORKERS} on.

Overload: concurrency {OVERLOAD} on a server with a queue of {OVERLOAD_QUEUE}, no retries.
{_counted(overload)}. The slowest answer of any kind took
{overload["slowest"]:.0f} ms (deadline {TIMEOUT:.0f} s); p99 of the predictions was
{overload["p99"]:.0f} ms. A refusal reads:

```
{overload["example"]}
```

After it, at concurrency 1: {_counted(after)}; p50 {after["p50"]:.1f} ms,
p99 {after["p99"]:.1f} ms.

Measured {datetime.date.today().isoformat()} in {seconds:.0f} s, {os.cpu_count()} cores
({platform.machine()}), Python {platform.python_version()}. Load average of the machine before it:
{load:.1f} (0 is idle).
"""


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--export"]:
        return _export(Path(arguments[1]))
    if arguments[:1] == ["--client"]:
        return _client()
    load, started = os.getloadavg()[0], time.perf_counter()
    text = page(measure(), time.perf_counter() - started, load)
    RESULT.write_text(text, encoding="utf-8")
    print(text)
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
