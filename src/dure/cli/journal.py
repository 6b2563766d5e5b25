"""`dure journal`: reading a gateway's journal by eye."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from dure.cli import _context

_READ_BYTES = 1 << 20


@click.group()
def journal() -> None:
    """Look into the journals that gateway processes write (docs/journal.md)."""


@journal.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--summary", is_flag=True, help="Leave the single frames out.")
def inspect(file: Path, as_json: bool, summary: bool) -> None:
    """Show what FILE, a segment or a process's folder, says; also before and after damage.

    Reads only, and may be used on a running gateway's journal. Exit status 1 if there is damage.
    """
    from dure.gateway.io.journal import segments
    from dure.gateway.protocol.journal import JournalError

    paths = [path for _, path in segments(file)] if file.is_dir() else [file]
    if not paths:
        raise _context.Refusal("no_journal", f"{file} holds no segments (00000001.journal and so on).")
    damaged = False
    for path in paths:
        try:
            for line in _lines(path):
                damaged = damaged or line["kind"] == "damage"
                if line["kind"] in {"opened", "progress", "closed"} and summary:
                    continue
                click.echo(json.dumps(line, ensure_ascii=False) if as_json else _as_text(line))
        except JournalError as error:
            raise _context.Refusal("not_a_journal", f"{path}: {error}") from None
        except OSError as error:
            raise _context.Refusal("unreadable", f"{path}: {error.strerror}") from None
    if damaged:
        sys.exit(1)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    from dure.gateway.protocol.journal import Damage, Decoder

    decoder = Decoder()
    told_header = False
    counts = {"opened": 0, "progress": 0, "closed": 0, "damage": 0}
    sequences: list[int] = []
    with path.open("rb") as file:
        while True:
            data = file.read(_READ_BYTES)
            found = decoder.feed(data) if data else decoder.finish()
            if not told_header and decoder.header is not None:
                told_header = True
                header = decoder.header
                yield {
                    "kind": "header", "file": str(path), "process": str(header.process_id),
                    "segment": header.segment, "created_at": header.created_at, "recovery": header.recovery,
                }  # fmt: skip
            for item in found:
                line: dict[str, Any]
                if isinstance(item, Damage):
                    line = {"kind": "damage", "offset": item.offset, "end": item.end, "reason": item.reason}
                else:
                    line = _frame(item)
                counts[line["kind"]] = counts.get(line["kind"], 0) + 1
                if line["kind"] == "closed":
                    sequences.append(line["sequence"])
                yield line
            if not data:
                break
    yield {
        "kind": "summary", "file": str(path), **counts,
        "first_sequence": sequences[0] if sequences else None,
        "last_sequence": sequences[-1] if sequences else None,
        "sound_bytes": decoder.sound_bytes, "torn_bytes": decoder.torn_bytes,
    }  # fmt: skip


def _frame(frame: Any) -> dict[str, Any]:
    import msgspec

    from dure.gateway.protocol import journal as protocol

    readers = {
        protocol.Kind.OPENED: protocol.decode_opened,
        protocol.Kind.PROGRESS: protocol.decode_progress,
        protocol.Kind.CLOSED: protocol.decode_closed,
    }
    reader = readers.get(frame.kind)
    if reader is None:
        return {"kind": f"unknown {frame.kind}", "offset": frame.offset, "bytes": len(frame.payload)}
    kind = protocol.Kind(frame.kind).name.lower()
    try:
        values = msgspec.to_builtins(reader(frame.payload))
    except ValueError as error:
        return {"kind": kind, "offset": frame.offset, "unreadable": str(error), "sequence": 0}
    return {"kind": kind, "offset": frame.offset, **values}


def _as_text(line: dict[str, Any]) -> str:
    match line["kind"]:
        case "header":
            recovered = ", written by recovery" if line["recovery"] else ""
            return f"{line['file']}: segment {line['segment']} of process {line['process']}{recovered}"
        case "damage":
            return f"{line['offset']:>12}  DAMAGE up to byte {line['end']}: {line['reason']}"
        case "opened" if "request_id" in line:
            hold = line["hold_micro_won"]
            return (
                f"{line['offset']:>12}  opened    {line['request_id']} {line['model']} hold {hold} micro-won"
            )
        case "progress" if "request_id" in line:
            return (
                f"{line['offset']:>12}  progress  {line['request_id']} {line['output_tokens']} tokens,"
                f" {line['relayed_bytes']} bytes"
            )
        case "closed" if "request_id" in line:
            return (
                f"{line['offset']:>12}  closed    {line['request_id']} #{line['sequence']} {line['status']}"
                f" {line['input_tokens']}+{line['output_tokens']} tokens {line['cost_micro_won']} micro-won"
                + (" estimated" if line["estimated"] else "")
            )
        case "summary":
            first, last = line["first_sequence"], line["last_sequence"]
            span = f"records {first} to {last}" if line["closed"] else "no records"
            torn = f", torn tail of {line['torn_bytes']} bytes" if line["torn_bytes"] else ""
            counts = ", ".join(f"{line[kind]} {kind}" for kind in ("opened", "progress", "closed"))
            return f"{line['file']}: {counts} ({span}), {line['damage']} damaged places{torn}"
        case _:
            return f"{line['offset']:>12}  {line['kind']} {line.get('unreadable', '')}"
