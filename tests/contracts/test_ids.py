from dure.contracts.ids import uuid7, uuid7_unix_ms


def test_a_uuid7_says_its_version_variant_and_time() -> None:
    identifier = uuid7(1_700_000_000_123)
    assert identifier.version == 7
    assert identifier.variant == "specified in RFC 4122"
    assert uuid7_unix_ms(identifier) == 1_700_000_000_123


def test_later_ids_sort_after_earlier_ones() -> None:
    assert uuid7(1_700_000_000_123) < uuid7(1_700_000_000_124)


def test_ids_of_one_millisecond_differ() -> None:
    assert len({uuid7(1) for _ in range(10_000)}) == 10_000
