"""The output folder: numbered, locked, resumed if unfinished, never half-written."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, final

from fitwell.errors import OutputError

JOB = "job.json"
RESULT = "result.json"
LOCK = ".lock"


@final
class Folder:
    """One output folder, held by this process until closed.

    A folder is finished once it holds ``result.json``, which is written last. An unfinished one
    of the same task and options is resumed. The lock is the operating system's: it goes when the
    process goes, however it ends.

    Args:
        path: The folder, made if missing.
        job: Task and options as plain data; a folder of another job is not touched.
        overwrite: Whether a folder that is finished, or of another job, is emptied first.

    Raises:
        OutputError: If it cannot be written, is in use, is finished, or holds something else.
    """

    def __init__(self, path: Path, job: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.path = path
        self._made = [p for p in (path, *path.parents) if not p.exists()]
        self._lock = _locked(path)
        try:
            self.resumed = self._enter(job, overwrite)
        except BaseException:
            self.close()
            if not (path / JOB).exists():
                (path / LOCK).unlink(missing_ok=True)
            raise

    def _enter(self, job: Mapping[str, Any], overwrite: bool) -> bool:
        state = _state(self.path, job)
        if state == "same":
            return True
        if state == "foreign":  # never emptied: it holds somebody's own files
            raise OutputError(
                f"{self.path} is not empty and holds no run of fitwell: choose another --out."
            )
        if state != "empty":
            if not overwrite:
                raise OutputError(
                    f"{self.path} holds {_WHY[state]}: choose another --out, or replace it with "
                    "--overwrite."
                )
            _empty(self.path)
        self.write(JOB, json.dumps(dict(job), indent=2, sort_keys=True))
        return False

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file whole or not at all.

        Raises:
            OutputError: If it cannot be written.
        """
        target = self.path / name
        data = content.encode() if isinstance(content, str) else content
        try:
            handle, temporary = tempfile.mkstemp(dir=self.path, prefix=f".{name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).chmod(0o644)
                Path(temporary).replace(target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise OutputError(f"Cannot write {target}: {error.strerror}.") from error
        return target

    def discard(self) -> None:
        """Remove the folder if this call made it and nothing in it is worth keeping."""
        if not self.resumed:
            _empty(self.path)
            if self._made:
                self.close()
                (self.path / LOCK).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a parent that meanwhile holds more stays
                for made in self._made:
                    made.rmdir()

    def close(self) -> None:
        """Release the lock; files stay."""
        self._lock.close()
        if (self.path / RESULT).exists():
            (self.path / LOCK).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_folder(
    out: str | Path | None, job: Mapping[str, Any], *, overwrite: bool = False
) -> Folder:
    """Open the folder that a job writes to.

    Args:
        out: The folder; by default the last one under ``fitwell-runs/TASK/`` if that is
            unfinished and of the same job, else the next number there.
        job: Task and options as plain data, with the task's name under ``"task"``.
        overwrite: Whether a given folder that holds something else is replaced.

    Raises:
        OutputError: As in :class:`Folder`.
    """
    if out is not None:
        return Folder(Path(out), job, overwrite=overwrite)
    root = Path("fitwell-runs") / _file_name(str(job["task"]))
    numbers = sorted(
        int(child.name) for child in _children(root) if child.name.isdecimal() and child.is_dir()
    )
    if numbers:
        last = root / str(numbers[-1])
        if _state(last, job) == "same":
            with contextlib.suppress(OutputError):  # in use by another process: take the next
                return Folder(last, job)
    for number in range(numbers[-1] + 1 if numbers else 1, 10**6):
        path = root / str(number)
        if not path.exists():
            return Folder(path, job)
    raise OutputError(f"{root} is full: move its folders away.")


_WHY = {
    "finished": "a finished run",
    "different": "an unfinished run of another task or with other options",
}


def _state(path: Path, job: Mapping[str, Any]) -> str:
    """Say what a folder holds: empty, same, different, finished or foreign."""
    if not any(child.name != LOCK for child in _children(path)):
        return "empty"
    if (path / RESULT).exists():
        return "finished"
    try:
        held = json.loads((path / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "foreign"
    return "same" if held == json.loads(json.dumps(dict(job))) else "different"


def _children(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"Cannot use {path} as an output folder: {error.strerror}.") from error


def _locked(path: Path) -> IO[str]:
    try:
        path.mkdir(parents=True, exist_ok=True)
        file = (path / LOCK).open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"Cannot write to the folder {path} ({error.strerror}): choose another --out."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise OutputError(f"{path} is in use by another fitwell: wait, or give --out.") from error
    return file


def _empty(path: Path) -> None:
    for child in _children(path):
        if child.name == LOCK:
            continue
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()


def _file_name(task: str) -> str:
    return re.sub(r"[^\w.-]+", "-", task).strip(".-") or "task"
