"""What a shared study belongs to, and what a worker needs to do its runs."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from typing import Any

from fitwell.tasks import Task


def identity(task: Task) -> dict[str, Any]:
    """Return what the runs of a study depend on besides the job, as plain data."""
    record = task.record()
    return {
        "task": task.name,
        "data": record.fingerprint,
        "network": record.network,
        "settings": [record.loss, record.metric, task.batch_size, task.epochs],
    }


def study_name(task: Task) -> str:
    """Return the name of the study of a task that was given none."""
    facts = json.dumps([identity(task), versions_needed()], sort_keys=True)
    return f"{task.name}-{hashlib.sha256(facts.encode()).hexdigest()[:8]}"


def versions_needed() -> str:
    """Return the versions that a worker must have for its runs to be those of this process."""
    torch = version("torch").partition("+")[0]
    python = ".".join(platform.python_version_tuple()[:2])
    return f"fitwell {version('fitwell')}, torch {torch}, Python {python}"
