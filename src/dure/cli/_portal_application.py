"""What a worker process of the portal loads: Django's application, and the end of the worker with its parent."""

from dure.control.config.wsgi import application
from dure.local.processes import end_with_parent

end_with_parent()

__all__ = ["application"]
