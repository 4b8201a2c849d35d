"""Keeps the entities of Amazon ML in SQLite: data sources, models, evaluations, batch predictions.

Each statement is a transaction of its own, so a kill at any moment leaves either the old or the new
state of an entity.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aiosqlite
import msgspec

from streamer.errors import DataError

Kind = Literal["DataSource", "MLModel", "Evaluation", "BatchPrediction"]

_TABLE = """
CREATE TABLE IF NOT EXISTS entities (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    request TEXT NOT NULL,
    document TEXT NOT NULL,
    content BLOB,
    UNIQUE (kind, id)
)"""
_COLUMNS = "kind, id, request, document"


class StateError(DataError):
    """The file of the store cannot be read or written, such as on a full disk."""


class Entity(msgspec.Struct, frozen=True):
    """One data source, model, evaluation or batch prediction.

    Attributes:
        kind: what it is.
        id: its id, unique among those of its kind.
        request: the request that created it.
        document: its members, as the answers of the service name them, and `Tags`.
    """

    kind: Kind
    id: str
    request: dict[str, Any]
    document: dict[str, Any]

    @property
    def status(self) -> str:
        """Its status, such as `PENDING`."""
        return str(self.document["Status"])


class EntityStore:
    """The entities, in the order of their creation. Every method raises StateError."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def add(self, entity: Entity, content: bytes | None = None) -> None:
        """Add an entity in the place of the one with its id, if there is one."""
        values = (entity.kind, entity.id, _dump(entity.request), _dump(entity.document), content)
        await self._execute(
            f"INSERT OR REPLACE INTO entities ({_COLUMNS}, content) VALUES (?, ?, ?, ?, ?)",  # noqa: S608
            values,
        )

    async def find(self, kind: Kind, id: str) -> Entity | None:  # noqa: A002 - as the service says
        """Return an entity; None if there is none with this id."""
        [*found] = await self._select("kind = ? AND id = ?", (kind, id))
        return found[0] if found else None

    async def change(self, entity: Entity, content: bytes | None = None, **members: Any) -> bool:
        """Replace members of an entity, and its content if there is a new one.

        A deleted entity stays as it is. None removes a member.

        Returns:
            Whether the entity was changed.
        """
        members = {"LastUpdatedAt": now()} | members
        done = await self._execute(
            "UPDATE entities SET document = json_patch(document, ?), content = ifnull(?, content) "
            "WHERE kind = ? AND id = ? AND json_extract(document, '$.Status') != 'DELETED'",
            (_dump(members), content, entity.kind, entity.id),
        )
        return done.rowcount == 1

    async def load_content(self, entity: Entity) -> bytes:
        """Return the content of an entity, such as the weights of a model."""
        cursor = await self._execute(
            "SELECT content FROM entities WHERE kind = ? AND id = ?", (entity.kind, entity.id)
        )
        row = await cursor.fetchone()
        assert row is not None
        return bytes(row[0])

    async def list_unfinished(self) -> list[Entity]:
        """Return the entities whose jobs have not ended, in the order of their creation."""
        return await self._select(
            "json_extract(document, '$.Status') IN ('PENDING', 'INPROGRESS') ORDER BY number", ()
        )

    async def list_ids(self, kind: Kind, most: int) -> list[str]:
        """Return ids of the newest entities of a kind that were not deleted."""
        cursor = await self._execute(
            "SELECT id FROM entities WHERE kind = ? AND json_extract(document, '$.Status') != "
            "'DELETED' ORDER BY number DESC LIMIT ?",
            (kind, most),
        )
        return [row[0] for row in await cursor.fetchall()]

    async def remove(self, kind: Kind, member: str) -> None:
        """Remove all entities of a kind whose documents have this member."""
        await self._execute(
            "DELETE FROM entities WHERE kind = ? AND json_extract(document, ?) IS NOT NULL",
            (kind, f"$.{member}"),
        )

    async def select_page(
        self, condition: str, values: Sequence[Any], sort_by: str, descending: bool, limit: int
    ) -> list[tuple[Entity, Any, int]]:
        """Return entities with the value that they are sorted by and their number.

        Args:
            condition: SQL, with `?` for each of the values.
            values: the values of the condition.
            sort_by: SQL of the value to sort by; the number decides among equal values.
            descending: whether the greatest value comes first.
            limit: number of entities at most.
        """
        order = "DESC" if descending else "ASC"
        cursor = await self._execute(
            f"SELECT {_COLUMNS}, {sort_by}, number FROM entities WHERE {condition} "  # noqa: S608
            f"ORDER BY {sort_by} {order}, number {order} LIMIT ?",
            (*values, limit),
        )
        return [(_read(row), row[4], row[5]) for row in await cursor.fetchall()]

    async def _execute(self, statement: str, values: Sequence[Any]) -> aiosqlite.Cursor:
        try:
            return await self._connection.execute(statement, values)
        except aiosqlite.Error as error:
            raise StateError(
                f"the state of the server cannot be read or written: {error}; check the file and "
                "the free space of its disk"
            ) from error

    async def _select(self, condition: str, values: Sequence[Any]) -> list[Entity]:
        cursor = await self._execute(
            f"SELECT {_COLUMNS} FROM entities WHERE {condition}",  # noqa: S608
            values,
        )
        return [_read(row) for row in await cursor.fetchall()]


@asynccontextmanager
async def open_store(path: Path | None) -> AsyncIterator[EntityStore]:
    """Open the store while the context is open.

    Args:
        path: the SQLite file, which is created if it does not exist; None keeps all in memory.

    Raises:
        StateError: the file cannot be opened, or is not a file of SQLite.
    """
    try:
        async with aiosqlite.connect(path or ":memory:", isolation_level=None) as connection:
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = FULL")
            await connection.execute(_TABLE)
            yield EntityStore(connection)
    except aiosqlite.Error as error:
        raise StateError(
            f"the state of Amazon ML in {path or 'memory'} cannot be opened: {error}; "
            "check the file and the free space of its disk, or name another file with --state"
        ) from error


def now() -> float:
    """Return the time in seconds since 1970, with whole milliseconds as the service gives it."""
    return round(time.time(), 3)


def _dump(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _read(row: Sequence[Any]) -> Entity:
    return Entity(row[0], row[1], msgspec.json.decode(row[2]), msgspec.json.decode(row[3]))
