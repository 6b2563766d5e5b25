"""The seeds of every fuzz target, whole and spoiled in simple ways: the fuzzing that every run of the tests does."""

import random
from pathlib import Path

import pytest

from .targets import TARGETS, seeds

FOUND = Path(__file__).parent / "found"
SPOILED = 30


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """`data` with a few bytes changed, dropped, doubled or cut off."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data) + 1)
        length = chance.randint(0, 8)
        with_ = chance.choice(
            (b"", bytes([chance.randrange(256)]), data[at : at + length] * 2, b"\r\n", b"\n", b"0", b":")
        )
        data = data[:at] + with_ + data[at + length :]
    return data


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_found_stays_found(target):
    for path in sorted(FOUND.glob(f"{target}-*")):
        TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_whole_and_spoiled(target):
    chance = random.Random(20261124)
    for seed in seeds(target):
        for number in range(SPOILED):
            data = seed if number == 0 else spoiled(seed, chance)
            TARGETS[target](with_cut(target, data, chance))


def with_cut(target: str, data: bytes, chance: random.Random) -> bytes:
    lead = bytes([chance.randrange(256), chance.randrange(256)])
    if target == "streams":
        return data[:1] + lead + data[1:]
    return data if target in {"bodies", "forms"} else lead + data
