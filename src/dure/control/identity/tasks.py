"""What the worker does on a schedule for people and organisations."""

from procrastinate.contrib.django import app

from dure.control.identity import services
from dure.control.identity.services import documents


@app.periodic(cron="23 0 * * *")
@app.task(queueing_lock="remind_of_expiring_documents", pass_context=False)
def remind_of_expiring_documents(timestamp: int) -> None:
    """Daily, after nine in Seoul."""
    documents.remind_of_expiry()


@app.periodic(cron="*/15 * * * *")
@app.task(queueing_lock="erase_due_people", pass_context=False)
def erase_due_people(timestamp: int) -> None:
    services.erase_due()


@app.periodic(cron="41 18 * * *")
@app.task(queueing_lock="forget_old_traces", pass_context=False)
def forget_old_traces(timestamp: int) -> None:
    """Daily, in Seoul's night: what the privacy notice promises to forget."""
    services.forget_unconfirmed()
    services.forget_old()
    services.forget_mail()
