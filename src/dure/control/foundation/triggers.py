"""Database triggers that keep a table append-only, whoever asks: the application, a shell, a slip."""

import pgtrigger

APPEND_ONLY, APPEND_ONLY_BUT_NAMES = "append_only", "append_only_but_names"
_REFUSE = (
    "RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP"
    " USING ERRCODE = 'restrict_violation';"
)
#: Said by the erasure of a person, for its own transaction (`set_config`, local).
ERASING = "dure.erasing"


def append_only(*, name_column: str = "") -> list[pgtrigger.Trigger]:
    """Triggers that refuse every UPDATE, DELETE and TRUNCATE on a model's table.

    `name_column` holds what a person was called: the erasure of that person may overwrite it, and it alone.
    """
    refuse = _REFUSE
    if name_column:
        refuse = (
            f"IF TG_OP = 'UPDATE' AND current_setting('{ERASING}', true) = 'on'"
            f" AND to_jsonb(NEW) - '{name_column}' = to_jsonb(OLD) - '{name_column}' THEN RETURN NEW; END IF; {_REFUSE}"
        )
    return [
        pgtrigger.Trigger(
            name=APPEND_ONLY_BUT_NAMES if name_column else APPEND_ONLY,
            when=pgtrigger.Before,
            operation=pgtrigger.Update | pgtrigger.Delete,
            func=refuse,
        ),
        pgtrigger.Trigger(
            name="no_truncate",
            when=pgtrigger.Before,
            operation=pgtrigger.Truncate,
            level=pgtrigger.Statement,
            func=_REFUSE,
        ),
    ]
