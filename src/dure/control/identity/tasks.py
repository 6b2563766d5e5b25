"""What the worker does on a schedule for organisations."""

from procrastinate.contrib.django import app

from dure.control.identity.services import documents


@app.periodic(cron="23 0 * * *")
@app.task(queueing_lock="remind_of_expiring_documents", pass_context=False)
def remind_of_expiring_documents(timestamp: int) -> None:
    """Daily, after nine in Seoul."""
    documents.remind_of_expiry()
