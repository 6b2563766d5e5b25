"""What the worker does on a schedule for awards and their keys."""

from procrastinate.contrib.django import app

from dure.control.access import services as access
from dure.control.programmes import services


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="close_awards", pass_context=False)
def close_awards(timestamp: int) -> None:
    """End awards whose term is over, and bring home what ended ones still hold."""
    services.end_expired_awards()
    services.return_closed_awards()


@app.periodic(cron="17 * * * *")
@app.task(queueing_lock="sweep_expired_keys", pass_context=False)
def sweep_expired_keys(timestamp: int) -> None:
    access.sweep_expired_keys()
