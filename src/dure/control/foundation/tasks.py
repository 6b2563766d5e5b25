"""What the worker does on a schedule for every room."""

from procrastinate.contrib.django import app

from dure.control.foundation import outbox


@app.periodic(cron="* * * * * */5")
@app.task(queueing_lock="deliver_outbox", pass_context=False)
def deliver_outbox(timestamp: int) -> None:
    outbox.deliver()
