from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfrec_vis.errors import InputError, NotPublished
from tfrec_vis.serving import abandoned, publish, publish_together, versions


def write_model(path: Path, content: bytes = b"graph") -> None:
    (path / "variables").mkdir()
    (path / "variables/variables.index").write_bytes(content)
    (path / "saved_model.pb").write_bytes(content)


def configured(root: Path) -> dict[str, str]:
    """name -> base_path, parsed by TensorFlow Serving's own message."""
    config = text_format.Parse(
        (root / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    assert all(c.model_platform == "tensorflow" for c in config.model_config_list.config)
    return {c.name: c.base_path for c in config.model_config_list.config}


def test_versions_rise(tmp_path: Path) -> None:
    root = tmp_path / "deep/root"
    assert publish(write_model, root, "encoder") == root / "encoder/1"
    assert publish(write_model, root, "encoder") == root / "encoder/2"
    (root / "encoder/10").mkdir()
    assert publish(write_model, root, "encoder") == root / "encoder/11"
    assert (root / "encoder/11/variables/variables.index").read_bytes() == b"graph"


def test_folder_is_copied(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    write_model(model)
    published = publish(model, tmp_path / "root", "ranker")
    assert (published / "variables/variables.index").read_bytes() == b"graph"
    assert (model / "saved_model.pb").is_file()


def test_models_config_names_every_model(tmp_path: Path) -> None:
    root = tmp_path / 'models "quoted" \\ folder'
    publish(write_model, root, "ranker")
    publish(write_model, root, "encoder")
    (root / "empty").mkdir()
    (root / "unfinished/.partial-1-a").mkdir(parents=True)
    assert configured(root) == {
        "encoder": str(root / "encoder"),
        "ranker": str(root / "ranker"),
    }


def test_models_config_passes_over_a_folder_it_may_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Volumes have lost+found, which root alone may read."""
    (tmp_path / "lost+found").mkdir()
    listed = Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder.name == "lost+found":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    publish(write_model, tmp_path, "ranker")
    assert configured(tmp_path) == {"ranker": str(tmp_path / "ranker")}


def test_models_config_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    publish(write_model, Path("root"), "encoder")
    assert configured(tmp_path / "root") == {"encoder": str(tmp_path / "root/encoder")}


def test_failing_writer_leaves_nothing(tmp_path: Path) -> None:
    def half(path: Path) -> None:
        (path / "saved_model.pb").write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish(half, tmp_path, "encoder")
    assert list((tmp_path / "encoder").iterdir()) == []
    assert not (tmp_path / "models.config").exists()


def test_writer_without_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no saved_model.pb"):
        publish(lambda path: None, tmp_path, "encoder")
    assert versions(tmp_path / "encoder") == []


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b", "-x", "a\n"])
def test_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="model name"):
        publish(write_model, tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_folder_without_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no saved_model.pb"):
        publish(tmp_path / "absent", tmp_path / "root", "encoder")


def test_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(InputError, match="cannot publish into"):
        publish(write_model, tmp_path / "root", "encoder")


@pytest.mark.parametrize("closed", ["", ".models.config.lock"])
def test_nothing_is_written_where_models_config_cannot_be(
    closed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(write_model, tmp_path, "ranker")
    allowed = os.access  # the tests may run as root, whom modes do not stop
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != tmp_path / closed and allowed(path, mode)
    )
    with pytest.raises(InputError, match=f"cannot publish into {tmp_path}: Permission denied; let"):
        publish(write_model, tmp_path, "ranker")
    assert versions(tmp_path / "ranker") == [1]
    assert [entry.name for entry in (tmp_path / "ranker").iterdir()] == ["1"]


def test_concurrent_threads_get_numbers_of_their_own(tmp_path: Path) -> None:
    published: list[tuple[Path, bytes]] = []
    together = threading.Barrier(12)

    def run(i: int) -> None:
        content = b"%d" % i

        def write(path: Path) -> None:
            write_model(path, content)
            together.wait()

        published.append((publish(write, tmp_path, f"model-{i % 3}"), content))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({path for path, _ in published}) == 12
    for path, content in published:
        assert (path / "saved_model.pb").read_bytes() == content
    for i in range(3):
        assert versions(tmp_path / f"model-{i}") == [1, 2, 3, 4]
    assert sorted(configured(tmp_path)) == ["model-0", "model-1", "model-2"]
    assert [p for p in tmp_path.rglob("*") if "partial" in p.name] == []


def _publish_many(root: Path, name: str) -> None:
    for _ in range(5):
        publish(write_model, root, name)


def test_concurrent_processes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    names = ["a", "a", "b"]
    workers = [context.Process(target=_publish_many, args=(tmp_path, name)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert versions(tmp_path / "a") == list(range(1, 11))
    assert versions(tmp_path / "b") == list(range(1, 6))
    assert sorted(configured(tmp_path)) == ["a", "b"]


def _killed_while_writing(root: Path) -> None:
    def write(path: Path) -> None:
        write_model(path)
        os.kill(os.getpid(), signal.SIGKILL)

    publish(write, root, "encoder")


def test_killed_publisher_leaves_no_version(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("spawn").Process(
        target=_killed_while_writing, args=(tmp_path,)
    )
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    (leftover,) = (tmp_path / "encoder").iterdir()
    assert leftover.name.startswith(".partial-")
    assert versions(tmp_path / "encoder") == []

    assert publish(write_model, tmp_path, "encoder") == tmp_path / "encoder/1"
    assert configured(tmp_path) == {"encoder": str(tmp_path / "encoder")}


def test_the_check_gets_the_complete_folder_and_may_add_to_it(tmp_path: Path) -> None:
    def check(folder: Path) -> None:
        assert folder.parent == tmp_path / "ranker" and folder.name.startswith(".partial-")
        assert (folder / "variables/variables.index").read_bytes() == b"graph"
        assert versions(tmp_path / "ranker") == []
        (folder / "assets.extra").mkdir()
        (folder / "assets.extra/note").write_text("checked")

    published = publish(write_model, tmp_path, "ranker", check)
    assert (published / "assets.extra/note").read_text() == "checked"


def test_a_failing_check_publishes_nothing(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        raise NotPublished("too slow")

    publish(write_model, tmp_path, "ranker")
    before = (tmp_path / "models.config").read_text()
    with pytest.raises(NotPublished, match="too slow"):
        publish(write_model, tmp_path, "ranker", refuse)
    assert [path.name for path in (tmp_path / "ranker").iterdir()] == ["1"]
    assert (tmp_path / "models.config").read_text() == before


def test_together_all_are_written_then_checked_then_published(tmp_path: Path) -> None:
    told = []

    def writer(name: str) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            told.append(f"write {name}")
            write_model(folder, name.encode())

        return write

    def checker(name: str) -> Callable[[Path], None]:
        def check(folder: Path) -> None:
            assert (folder / "saved_model.pb").read_bytes() == name.encode()
            assert not any(versions(tmp_path / other) for other in "abc")
            told.append(f"check {name}")

        return check

    published = publish_together(
        {name: writer(name) for name in "abc"}, tmp_path, {name: checker(name) for name in "ca"}
    )
    assert told == ["write a", "write b", "write c", "check a", "check c"]
    assert published == {name: tmp_path / name / "1" for name in "abc"}
    assert sorted(configured(tmp_path)) == ["a", "b", "c"]


@pytest.mark.parametrize("fault", ["writer", "check"])
def test_together_one_fault_publishes_none(fault: str, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise OSError("disk full")

    writers = {"a": write_model, "b": fail if fault == "writer" else write_model}
    with pytest.raises(OSError, match="disk full"):
        publish_together(writers, tmp_path, {"b": fail})
    assert [path for path in tmp_path.rglob("*") if path.parent != tmp_path] == []


def test_everything_is_synced_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    rename = Path.rename
    missing: list[set[str]] = []

    def renamed(self: Path, target: Path) -> Path:
        missing.append({str(self), *(str(path) for path in self.rglob("*"))} - set(synced))
        synced.clear()
        return rename(self, target)

    def check(folder: Path) -> None:
        (folder / "assets.extra").mkdir()
        (folder / "assets.extra/note").write_text("checked")
        synced.clear()  # so that what was synced before does not count

    monkeypatch.setattr(os, "fsync", recorded)
    monkeypatch.setattr(Path, "rename", renamed)
    publish(write_model, tmp_path, "ranker", check)
    assert missing == [set()]
    assert {str(tmp_path / "ranker"), str(tmp_path)} <= set(
        synced
    )  # and the rename itself after it


def test_what_killed_publishers_left_is_removed_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "ranker/.partial-1-abc"
    left.mkdir(parents=True)
    (left / "saved_model.pb").write_bytes(b"half")
    # Copying a folder sets its time of modification; that does not make it old.
    os.utime(left, (0, 0))
    publish(write_model, tmp_path, "ranker")
    assert left.is_dir()

    now = time.time()
    monkeypatch.setattr(abandoned.time, "time", lambda: now + 86_000)
    publish(write_model, tmp_path, "ranker")
    assert left.is_dir()
    monkeypatch.setattr(abandoned.time, "time", lambda: now + 87_000)
    home = tmp_path / "ranker"
    abandoned.remove_abandoned(home)
    assert sorted(path.name for path in home.iterdir()) == ["1", "2"]
    abandoned.remove_abandoned(home)
    assert (home / "1/saved_model.pb").read_bytes() == b"graph"


def test_the_newest_models_are_of_one_publisher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publishing = sys.modules["tfrec_vis.serving.publish"]
    renamed = publishing._rename_to_next_version

    def slowly(partial: Path, home: Path) -> Path:
        version = renamed(partial, home)
        time.sleep(0.02)
        return version

    monkeypatch.setattr(publishing, "_rename_to_next_version", slowly)
    together = threading.Barrier(4)

    def run(content: bytes) -> None:
        def write(path: Path) -> None:
            write_model(path, content)

        together.wait()
        publish_together({"a": write, "b": write}, tmp_path)

    threads = [threading.Thread(target=run, args=(b"%d" % i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for version in range(1, 5):
        a, b = (tmp_path / name / str(version) / "saved_model.pb" for name in "ab")
        assert a.read_bytes() == b.read_bytes()


_WITHOUT_TENSORFLOW = """
import sys
from pathlib import Path
from tfrec_vis.errors import NotPublished
from tfrec_vis.serving import infra_check, publish, rollback, versions

def write(folder):
    (folder / "saved_model.pb").write_bytes(b"no graph")

root = Path(sys.argv[1])
publish(write, root, "ranker", lambda folder: None)
publish(write, root, "ranker")
rollback(root, "ranker")
try:
    infra_check(root / "ranker/3")
except NotPublished as error:
    print(error)
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"tensorflow", "keras", "tf_keras", "google"}, loaded
"""


def test_publishing_imports_no_tensorflow(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WITHOUT_TENSORFLOW, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert versions(tmp_path / "ranker") == [1, 2, 3]
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{tmp_path}/ranker/3: cannot be loaded: ")
