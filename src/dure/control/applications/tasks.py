"""What the worker does on a schedule for applications."""

from procrastinate.contrib.django import app

from dure.control.applications import services


@app.periodic(cron="* * * * * */10")
@app.task(queueing_lock="decide_small_requests", pass_context=False)
def decide_small_requests(timestamp: int) -> None:
    """The net beneath the decision that follows a submission at once."""
    services.decide_waiting()


@app.periodic(cron="* * * * * */20")
@app.task(queueing_lock="close_due_applications", pass_context=False)
def close_due_applications(timestamp: int) -> None:
    services.close_due()
    services.expire_requests()


@app.periodic(cron="*/10 * * * *")
@app.task(queueing_lock="remind_writers", pass_context=False)
def remind_writers(timestamp: int) -> None:
    services.remind()
