"""Whose clock a deadline is held against: the database's, for there is one of it and many servers of ours.

`clock.now()` is good enough for what a page shows; whether something was in time is `database_now`'s to say, and
`workflow.in_time` compares. `clock_timestamp()` moves within a transaction, so it is asked after waiting for a lock.
"""

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """The database's present moment, aware."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    moment: datetime = row[0]
    return moment
