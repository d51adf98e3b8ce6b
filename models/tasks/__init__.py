"""The tasks a test model is trained on and measured by. To add one, add a file; see ``task.py``."""

from importlib import import_module
from pkgutil import iter_modules

from models.tasks.task import Sample, Task

__all__ = ["TASKS", "Sample", "Task"]


def _discover() -> dict[str, Task]:
    """Collect ``FAMILY`` of every module in this folder, in the order of file and tuple."""
    tasks: dict[str, Task] = {}
    for module in iter_modules(__path__):
        if module.name == "task":
            continue
        family: tuple[Task, ...] = import_module(f"{__name__}.{module.name}").FAMILY
        for task in family:
            assert task.name not in tasks, f"two tasks are called {task.name!r}"
            tasks[task.name] = task
    return tasks


TASKS: dict[str, Task] = _discover()
