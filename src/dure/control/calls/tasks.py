"""What the worker does on a schedule for calls."""

from procrastinate.contrib.django import app

from dure.control.calls import services


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="expire_steps", pass_context=False)
def expire_steps(timestamp: int) -> None:
    """Mark the steps whose time is over; closings need no task, for they are compared, not set."""
    services.expire_steps()
