"""What the worker does on a schedule for settlement and the ledger."""

from procrastinate.contrib.django import app

from dure.control.settlement import services


@app.periodic(cron="7 * * * *")
@app.task(queueing_lock="ensure_partitions", pass_context=False)
def ensure_partitions(timestamp: int) -> None:
    services.ensure_partitions()


@app.periodic(cron="17 * * * *")
@app.task(queueing_lock="sweep_allotments", pass_context=False)
def sweep_allotments(timestamp: int) -> None:
    services.sweep_allotments()


@app.periodic(cron="5 0,15 * * *")
@app.task(queueing_lock="publish_day_heads", pass_context=False)
def publish_day_heads(timestamp: int) -> None:
    """Just after midnight in Seoul (15:05 UTC), and once more in case that was missed."""
    services.publish_day_heads()


@app.periodic(cron="*/30 * * * *")
@app.task(lock="verify_everything", queueing_lock="verify_everything", pass_context=False)
def verify_everything(timestamp: int) -> None:
    services.verify_everything()
