"""The data folder: one holder, secrets for its owner only, logs that do not grow for ever."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dure.local import folder as folder_module
from dure.local.errors import LocalError
from dure.local.folder import DataFolder, read_json, write_json, write_private


def test_a_second_holder_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom dure.local.folder import DataFolder\n"
        "DataFolder(pathlib.Path(sys.argv[1])).take()\nprint('taken', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "taken\n"
        with pytest.raises(LocalError) as refused:
            DataFolder(tmp_path).take()
        assert refused.value.code == "already_running"
        assert f"(process {holder.pid})" in refused.value.message
        holder.kill()
    second = DataFolder(tmp_path)
    second.take()  # the kernel gave the lock back
    second.release()


def test_the_secret_key_is_made_once(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        held = DataFolder(tmp_path / "data")
        held.take()
        keys.append((tmp_path / "data" / "secret_key").read_text())
        held.release()
    assert keys[0] == keys[1]
    assert len(keys[0]) > 80
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_what_is_left_of_a_killed_run_does_not_look_ready(tmp_path: Path) -> None:
    write_json(tmp_path / "ready.json", {"pids": {}})
    held = DataFolder(tmp_path)
    held.take()
    assert not (tmp_path / "ready.json").exists()
    held.release()


def test_a_private_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, "one")
    with pytest.raises(TypeError):
        write_private(path, 2)  # type: ignore[arg-type]
    assert path.read_text() == "one"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("content", [None, "", "{", "[1]"])
def test_an_unreadable_note_says_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "note.json").write_text(content)
    assert read_json(tmp_path / "note.json") == {}


def test_a_note_keeps_hangul(tmp_path: Path) -> None:
    write_json(tmp_path / "note.json", {"name": "두레"})
    assert "두레" in (tmp_path / "note.json").read_text()
    assert json.loads((tmp_path / "note.json").read_text()) == {"name": "두레"}


def test_logs_are_rotated_under_a_writer_that_keeps_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "LOG_BYTES", 10)
    held = DataFolder(tmp_path)
    held.take()
    path = held.log("portal")
    with path.open("a") as writer:
        for round_ in "abcde":
            writer.write(round_ * 12)
            writer.flush()
            held.rotate_logs()
        writer.write("last")
        writer.flush()
    held.release()
    found = {one.name: one.read_text() for one in held.logs.iterdir()}
    assert found == {
        "portal.log": "last",
        "portal.log.1": "e" * 12,
        "portal.log.2": "d" * 12,
        "portal.log.3": "c" * 12,
    }


def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError) as refused:
        DataFolder(tmp_path / "file" / "below").take()
    assert refused.value.code == "data_not_a_folder"
    with pytest.raises(LocalError) as refused:
        DataFolder(Path("/proc/nowhere")).take()
    assert refused.value.code == "data_not_writable"
