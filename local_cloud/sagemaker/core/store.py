"""The durable state of the service: JSON documents in one SQLite file.

A document is written before anything acts on it, so a process that is killed at any moment finds, at its next start,
what it had promised. The write-ahead log with ``synchronous=NORMAL`` survives a killed process (not a power cut).

A full disk is a DiskFull error, and nothing is changed: a call answers with it, `retry_while_disk_full` waits.
"""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import DiskFull

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL, region TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (account, region, kind, name)
)
"""


class Scope(NamedTuple):
    """The account and region that a resource lives in."""

    account: str
    region: str


class Store:
    """Documents by scope, kind and name. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(_SCHEMA)
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens at once or not at all; other threads wait. Nests."""
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._write("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
                if outermost:
                    self._write("COMMIT")
            except BaseException:
                if outermost and self._connection.in_transaction:  # on a full disk SQLite may have rolled it back
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    def _write(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            # An exceeded quota is an I/O error to SQLite.
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise
            raise DiskFull(f"{self._path} cannot be written: {error}. hint: make room; df -h {self._path}") from error

    def put(self, scope: Scope, kind: DocumentKind, name: str, body: Document) -> Document:
        with self._lock:
            self._write(
                "INSERT INTO document (account, region, kind, name, body) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (account, region, kind, name) DO UPDATE SET body = excluded.body",
                (*scope, kind, name, json.dumps(body, sort_keys=True)),
            )
        return body

    def update(self, scope: Scope, kind: DocumentKind, name: str, **changes: Any) -> Document:
        """Merges ``changes`` into an existing document; ``None`` removes a member."""
        with self.transaction():
            body = self.get(scope, kind, name)
            assert body is not None, f"{kind} {name} vanished"
            body = {key: value for key, value in (body | changes).items() if value is not None}
            return self.put(scope, kind, name, body)

    def get(self, scope: Scope, kind: DocumentKind, name: str) -> Document | None:
        with self._lock:
            row = self._connection.execute(
                "SELECT body FROM document WHERE account = ? AND region = ? AND kind = ? AND name = ?",
                (*scope, kind, name),
            ).fetchone()
        return json.loads(row[0]) if row else None

    def delete(self, scope: Scope, kind: DocumentKind, name: str) -> None:
        with self._lock:
            self._write(
                "DELETE FROM document WHERE account = ? AND region = ? AND kind = ? AND name = ?",
                (*scope, kind, name),
            )

    def delete_all(self, scope: Scope, kind: DocumentKind, prefix: str) -> None:
        """Deletes the documents of a kind whose name begins with ``prefix``."""
        with self._lock:
            self._write(
                "DELETE FROM document WHERE account = ? AND region = ? AND kind = ? AND substr(name, 1, ?) = ?",
                (*scope, kind, len(prefix), prefix),
            )

    def find(self, scope: Scope, kind: DocumentKind, prefix: str = "") -> list[Document]:
        """All documents of a kind, oldest first; with ``prefix``, those whose name begins with it."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT body FROM document WHERE account = ? AND region = ? AND kind = ? "
                "AND substr(name, 1, ?) = ? ORDER BY sequence",
                (*scope, kind, len(prefix), prefix),
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def scan(self, kind: DocumentKind) -> list[tuple[Scope, Document]]:
        """All documents of a kind in every account and region, oldest first: what a restart looks through."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT account, region, body FROM document WHERE kind = ? ORDER BY sequence", (kind,)
            ).fetchall()
        return [(Scope(account, region), json.loads(body)) for account, region, body in rows]

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def retry_while_disk_full(write: Callable[[], Result], given_up: threading.Event) -> Result:
    """Writes for a background thread: while the disk is full, tries again every second.

    Raises DiskFull once ``given_up`` is set.
    """
    begun = time.monotonic()
    waiting = False
    while True:
        try:
            result = write()
        except DiskFull as error:
            if not waiting:
                log.error("waiting for room on the disk: %s", error)
            waiting = True
            if given_up.wait(1):
                raise
        else:
            if waiting:  # the log may be on the same disk, and have missed the first line
                log.warning("there is room on the disk again, after %d s", time.monotonic() - begun)
            return result
