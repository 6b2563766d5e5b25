"""What the worker does on a schedule for every room."""

from procrastinate.contrib.django import app

from dure.control.foundation import files, notices, outbox


@app.periodic(cron="* * * * * */5")
@app.task(queueing_lock="deliver_outbox", pass_context=False)
def deliver_outbox(timestamp: int) -> None:
    outbox.deliver()


@app.periodic(cron="23 * * * *")
@app.task(queueing_lock="sweep_files", pass_context=False)
def sweep_files(timestamp: int) -> None:
    files.sweep()


@app.periodic(cron="41 3 * * *")
@app.task(queueing_lock="remove_old_notices", pass_context=False)
def remove_old_notices(timestamp: int) -> None:
    notices.remove_old()
