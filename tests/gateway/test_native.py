"""Compiled modules are used only while they are made of the source that lies here."""

import json
from pathlib import Path

from dure.gateway import native

MODULE = "dure.gateway.protocol.escrow"


def folder_of(path: Path, digest: str) -> Path:
    files = {MODULE: f"{MODULE}.so", "0123__mypyc": "0123__mypyc.so"}
    (path / native.MANIFEST).write_text(json.dumps({"sources": {MODULE: digest}, "files": files}))
    return path


def test_what_is_made_of_this_source_is_used_with_what_it_needs(tmp_path):
    folder = folder_of(tmp_path, native.digest_of(MODULE))
    assert native.compiled(folder) == {
        MODULE: tmp_path / f"{MODULE}.so",
        "0123__mypyc": tmp_path / "0123__mypyc.so",
    }


def test_what_is_made_of_another_source_is_not(tmp_path, caplog):
    assert native.compiled(folder_of(tmp_path, "0" * 64)) == {}
    assert caplog.messages == [f"compiled modules are not used: {MODULE} has changed; compile again"]


def test_nothing_has_to_be_compiled(tmp_path):
    assert native.compiled(tmp_path) == {}
    (tmp_path / native.MANIFEST).write_text("{")
    assert native.compiled(tmp_path) == {}


def test_every_module_that_would_be_compiled_is_there():
    text = (native.PACKAGES.parent / "scripts" / "compile_gateway.py").read_text()
    named = [line.strip(' ",') for line in text.splitlines() if line.startswith('    "dure.')]
    assert len(named) > 20
    assert [module for module in named if not native.source_of(module).is_file()] == []
    # mypyc loses exceptions in coroutines, and does not know what msgspec makes of a class.
    assert [
        module
        for module in named
        if "async def" in (source := native.source_of(module).read_text()) or "(msgspec.Struct" in source
    ] == []
