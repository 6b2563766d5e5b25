"""Database triggers that keep a table append-only, whoever asks: the application, a shell, a slip."""

import pgtrigger

_REFUSE = (
    "RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP"
    " USING ERRCODE = 'restrict_violation';"
)


def append_only() -> list[pgtrigger.Trigger]:
    """Triggers that refuse every UPDATE, DELETE and TRUNCATE on a model's table."""
    return [
        pgtrigger.Trigger(
            name="append_only",
            when=pgtrigger.Before,
            operation=pgtrigger.Update | pgtrigger.Delete,
            func=_REFUSE,
        ),
        pgtrigger.Trigger(
            name="no_truncate",
            when=pgtrigger.Before,
            operation=pgtrigger.Truncate,
            level=pgtrigger.Statement,
            func=_REFUSE,
        ),
    ]
