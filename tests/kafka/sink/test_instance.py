"""The name of a worker, held while its process lives."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from consumer.contracts.errors import KafkaProblem
from consumer.kafka.sink.instance import Instance, transactional_id
from consumer.settings.schema import Settings

HOST = socket.gethostname()

HOLD = """
import sys, time
from pathlib import Path
from consumer.kafka.sink.instance import Instance
from consumer.settings.schema import Settings
held = Instance(Settings(), Path(sys.argv[1]))
print(held.name, flush=True)
time.sleep(600)
"""


def test_every_pair_of_group_and_instance_has_a_transactional_id_of_its_own() -> None:
    parts = ["a", "b", "-", "@", "%", "40", "a-", "@b", "%40", "a@", "25", ""]
    pairs = [(one + two, three) for one in parts for two in parts for three in (*parts, "@%", "a@")]
    ids = {(group, instance): transactional_id(group, instance) for group, instance in pairs}
    assert len(set(ids.values())) == len(ids)
    assert transactional_id("news", "eu-0") == "news@eu-0"
    assert transactional_id("news-eu", "0") == "news-eu@0"
    assert transactional_id("a@b%", "c@d%") == "a%40b%25@c@d%"


def test_a_given_name_is_taken_as_it_is(tmp_path: Path) -> None:
    assert Instance(Settings(instance="worker-a"), tmp_path).name == "worker-a"
    assert list(tmp_path.iterdir()) == []


def test_two_workers_of_a_group_have_two_names(tmp_path: Path) -> None:
    first, second = (Instance(Settings(), tmp_path) for _ in range(2))
    assert (first.name, second.name) == (f"{HOST}-0", f"{HOST}-1")
    first.release()
    third = Instance(Settings(), tmp_path)
    assert third.name == f"{HOST}-0"
    other = Instance(Settings(group_id="another/group"), tmp_path)
    assert other.name == f"{HOST}-0"
    for one in (second, third, other):
        one.release()
        one.release()


def test_a_killed_worker_is_followed_under_the_same_name(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == f"{HOST}-0"
        beside = Instance(Settings(), tmp_path)
        assert beside.name == f"{HOST}-1"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    successor = Instance(Settings(), tmp_path)
    assert successor.name == f"{HOST}-0"
    successor.release()
    beside.release()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KafkaProblem, match=r"nowhere.*set instance"):
        Instance(Settings(), tmp_path / "nowhere")


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    held = Instance(Settings(), tmp_path)
    (file,) = tmp_path.iterdir()
    held.release()
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KafkaProblem, match="set instance"):
        Instance(Settings(), tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the host's, which others may write."""
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_files_are_this_users_alone(shared: Path) -> None:
    before = os.umask(0)
    try:
        held = Instance(Settings(group_id="a/b"))
    finally:
        os.umask(before)
    (folder,) = shared.iterdir()
    (file,) = folder.iterdir()
    assert (folder.name, file.name) == (f"nerstream-{os.getuid()}", "a%2Fb-0.lock")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = Instance(Settings(group_id="a/b"))
    assert again.name == f"{HOST}-1"
    held.release()
    again.release()


def test_a_folder_that_others_may_write_is_refused(shared: Path) -> None:
    folder = shared / f"nerstream-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(KafkaProblem, match=f"{folder}, which .* may be written by others"):
        Instance(Settings())
    folder.rmdir()
    elsewhere = shared / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    with pytest.raises(KafkaProblem, match="belongs to somebody else"):
        Instance(Settings())
    folder.unlink()
    folder.write_text("")
    with pytest.raises(KafkaProblem, match="belongs to somebody else"):
        Instance(Settings())


def test_a_folder_of_another_user_is_refused(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shared / "nerstream-12345").mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: 12_345)
    if (shared / "nerstream-12345").stat().st_uid == 12_345:
        pytest.skip("this is user 12345")
    with pytest.raises(KafkaProblem, match="belongs to somebody else"):
        Instance(Settings())


def test_a_temporary_folder_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with pytest.raises(KafkaProblem, match=r"cannot make /proc/nerstream-\d+ .*TMPDIR"):
        Instance(Settings())
