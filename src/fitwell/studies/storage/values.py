"""Values that go through the database: pickled, cut into parts, named by what they hold."""

from __future__ import annotations

from typing import Any, TypeVar, final

import sqlalchemy as sa

from fitwell.errors import BadInput
from fitwell.studies.referring import Reference, dumps, loads, name_of
from fitwell.studies.storage.schema import Schema

Value = TypeVar("Value")
PART = 4 << 20
"""Bytes of a part: a row that any database and any proxy takes."""


@final
class Values:
    """Writes values to the database, and reads each of them once.

    Whoever can write to the database can have code run by those who read: unpickling is trust.

    Args:
        engine: The database.
        schema: Its tables.
        kept: How many values are kept in memory.
    """

    def __init__(self, engine: sa.Engine, schema: Schema, *, kept: int = 4) -> None:
        self._engine, self._table, self._kept = engine, schema.shared, kept
        self._read: dict[str, Any] = {}

    def put(self, value: object) -> str:
        """Store a value unless it is there already, and return its name."""
        data = dumps(value)
        name, table = name_of(data), self._table
        parts = [data[at : at + PART] for at in range(0, len(data), PART)]
        with self._engine.begin() as connection:
            held = sa.select(table.c.part).where(table.c.digest == name)
            if connection.execute(held).first() is None:
                rows = [{"digest": name, "part": n, "data": part} for n, part in enumerate(parts)]
                connection.execute(sa.insert(table), rows)
        return name

    def share(self, value: Value) -> Reference[Value]:
        """Store a value and return the call that stands for it in other values."""
        return Reference(self.put(value), value)

    def get(self, name: str) -> Any:
        """Return the value of a name.

        Raises:
            BadInput: If it is not there as it was stored.
        """
        if name not in self._read:
            value = loads(self._data(name), self.get)
            while len(self._read) >= self._kept:
                del self._read[next(iter(self._read))]
            self._read[name] = value
        self._read[name] = self._read.pop(name)  # the one used last goes last
        return self._read[name]

    def _data(self, name: str) -> bytes:
        table = self._table
        rows = sa.select(table.c.data).where(table.c.digest == name).order_by(table.c.part)
        with self._engine.begin() as connection:
            data = b"".join(bytes(row.data) for row in connection.execute(rows))
        if name_of(data) != name:
            raise BadInput("The task in the storage is not what was put there: it is damaged.")
        return data
