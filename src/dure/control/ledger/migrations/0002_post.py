from importlib.resources import files

from django.db import migrations

_SQL = files(__package__).joinpath("_post.sql").read_text(encoding="utf-8")
_UNDO = """
DROP TRIGGER ledger_guard_book ON ledger_book;
DROP TRIGGER ledger_guard_account ON ledger_account;
DROP FUNCTION ledger_guard_book, ledger_guard_account, ledger_open_account, ledger_lock_books,
    ledger_post_batch, ledger_post;
"""


class Migration(migrations.Migration):
    """The SQL function that writes every transfer."""

    dependencies = [("ledger", "0001_initial")]

    operations = [migrations.RunSQL(_SQL, _UNDO)]
