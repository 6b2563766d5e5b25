"""What an operator brings back from a lost node: a process's folder, a folder of them, or bare journal files.

A file still in its process's folder stands for the whole folder. Files that were copied out of it say themselves, in
their headers, whose they are and in which order; they are laid into a folder of that process's name beside where they
lie, as copies, so that what was brought back stays as it is.
"""

import shutil
from pathlib import Path
from uuid import UUID

from dure.gateway.io.journal import SEGMENT_SUFFIX, segment_path
from dure.gateway.io.journal_tail import JournalDamaged
from dure.gateway.protocol.journal import HEADER_BYTES, Decoder, Header


class FolderExists(Exception):
    """A process's folder lies beside its loose files: which of the two is meant must be said."""


def is_process_name(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def process_folders(journal: Path) -> list[Path]:
    """The folders of gateway processes in a folder, oldest first."""
    return sorted(path for path in journal.iterdir() if is_process_name(path.name) and path.is_dir())


def folders_to_settle(given: Path) -> list[Path]:
    """Process folders for what was given; loose files are laid out first. Empty where there is no journal."""
    if given.is_dir():
        if is_process_name(given.name):
            return [given]
        loose = sorted(path for path in given.iterdir() if path.name.endswith(SEGMENT_SUFFIX))
        return _lay_out(loose) if loose else process_folders(given)
    if is_process_name(given.parent.name):
        return [given.parent]
    return _lay_out([given])


def _lay_out(files: list[Path]) -> list[Path]:
    wanted: dict[Path, list[tuple[Path, Path]]] = {}
    for path in files:
        header = _header(path)
        folder = path.parent / str(header.process_id)
        wanted.setdefault(folder, []).append((path, segment_path(folder, header.segment)))
    for folder, copies in wanted.items():
        if folder.exists() and not all(_is_copy(path, segment) for path, segment in copies):
            raise FolderExists(f"{folder} exists beside its loose files: give that folder, or move it away")
    for folder, copies in wanted.items():
        if folder.exists():
            continue  # laid out by a recovery that did not come to its end
        folder.mkdir()
        for path, segment in copies:
            if segment.exists():
                shutil.rmtree(folder)
                raise FolderExists(
                    f"{path} is the second file of segment {int(segment.stem)}: give one of them"
                )
            shutil.copy2(path, segment)
    return sorted(wanted)


def _is_copy(path: Path, segment: Path) -> bool:
    return segment.exists() and segment.stat().st_size == path.stat().st_size


def _header(path: Path) -> Header:
    with path.open("rb") as file:
        decoder = Decoder()
        decoder.feed(file.read(HEADER_BYTES))
    if decoder.header is None:
        raise JournalDamaged(path, 0, "it does not begin as a journal does, so it does not say whose it is")
    return decoder.header
