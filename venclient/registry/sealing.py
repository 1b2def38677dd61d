"""Keeps passwords out of the database in the clear: seals what is stored, and what older programs left."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import and_, func, or_, select, union
from sqlalchemy.sql import ColumnElement

from venclient.errors import ConfigError, RegistryError
from venclient.messages import Text
from venclient.messages import registry as reg
from venclient.registry.link import Link
from venclient.registry.opening import is_url
from venclient.registry.schema import connections
from venclient.registry.sqlite_link import lets_others_in, open_driver, said
from venclient.registry.statements import Statements
from venclient.secrets import (
    KEY_FILE_VARIABLE,
    REFERENCES,
    SEALED,
    KeyFile,
    Locked,
    is_literal,
    is_open,
    key_file,
    key_path_of,
    open_sealed,
)

_log = logging.getLogger(__name__)
_warned: set[str] = set()
_NAMED = 3
_HEAD = len(SEALED) + 8  # with the key's id
_LOGIN = (connections.c.username, connections.c.password)


@dataclass(frozen=True)
class Login:
    """Username and password of one connection as they are stored. Shows neither."""

    row_id: int
    place: str
    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Login({self})"

    def __str__(self) -> str:
        return f"connections row {self.row_id} ({self.place})"

    @property
    def texts(self) -> tuple[str, ...]:
        """Return those of the two that are set."""
        return tuple(text for text in (self.username, self.password) if text)


class Sealer:
    """Seals literals for one database with its key file, which is made when the first one comes.

    Called with a username or password it gives what may be stored: references, sealed texts and None
    come back as they are.
    """

    def __init__(self, database: str, link: Link, statements: Statements, key: Path | None) -> None:
        self.database = database
        path = key or key_path_of(database)
        self._key_file = None if path is None else key_file(path)
        self._link = link
        self._sql = statements

    @property
    def key_file(self) -> KeyFile:
        """Return the key file; ConfigError when there is nowhere to put one."""
        if self._key_file is None:
            raise ConfigError(reg.NO_KEY_FILE(variable=KEY_FILE_VARIABLE), subject=self.database)
        return self._key_file

    def __call__(self, text: str | None) -> str | None:
        if isinstance(text, Locked):
            return text.sealed
        if text is None or not is_literal(text):
            return text
        if not self.key_file.exists():
            self._refuse_second_key()
        return self.key_file.seal(text)

    def digest(self, text: str, *, make: bool) -> str | None:
        """Return a digest of a secret under the key of this database, None without a key.

        `make` makes the key file when it is missing, as sealing does, unless a lost key sealed logins.
        """
        if self._key_file is None:
            return None
        if not self._key_file.exists():
            try:
                if not make:
                    return None
                self._refuse_second_key()
            except RegistryError:
                return None
        return self._key_file.digest(text)

    def warn(self) -> None:
        """Log, once per program and database, the logins in plain text and those that no key opens."""
        if self.database in _warned:
            return
        literal = or_(*map(_is_literal, _LOGIN))
        if found := self._logins(literal, _NAMED + 1):
            _warned.add(self.database)
            shared = "" if is_url(self.database) else lets_others_in(Path(self.database))
            readable = f"; {shared}" if shared else ""
            text = reg.LOGINS_IN_THE_CLEAR(database=self.database, logins=_names(found), readable=readable)
            _log.warning(text.within(after=f"; {text.hint}"))
        heads = union(
            *(select(func.substr(column, 1, _HEAD)).where(_starts(column, SEALED)) for column in _LOGIN)
        )
        for (head,) in self._link.rows(*self._sql.bound(heads)):
            if not is_open(str(head)):
                _warned.add(self.database)
                shut = self._logins(or_(*(_starts(column, str(head)) for column in _LOGIN)), _NAMED + 1)
                if not shut:
                    continue  # a damaged file: its index says other than its rows
                why = self._why(shut[0])
                text = reg.LOGINS_LOCKED(database=self.database, logins=_names(shut))
                _log.warning(text.within(after=f": {why.text}") if why else text)

    def seal_all(self) -> int:
        """Seal all literals that are stored, in one transaction; give how many there were."""
        with self._link.transaction() as driver:
            found = self._logins(or_(*map(_is_literal, _LOGIN)))
            values = [(self(one.username), self(one.password), one.row_id) for one in found]
            driver.executemany(self._sql.update_login, values)
        return sum(is_literal(text) for one in found for text in one.texts)

    def new_key(self) -> Path:
        """Make a key file where the old one is lost; RegistryError when there is one."""
        if self.key_file.exists():
            raise RegistryError(reg.KEY_EXISTS(), subject=str(self.key_file.path))
        self.key_file.make()
        return self.key_file.path

    def problems(self) -> list[str]:
        """Return a message on each login that is in plain text, or that no available key opens."""
        found: list[str] = []
        for one in self._logins(or_(*(column.is_not(None) for column in _LOGIN))):
            if any(map(is_literal, one.texts)):
                text = reg.LOGIN_IN_THE_CLEAR(login=one)
                found.append(text.within(after=f"; {text.hint}"))
            if why := self._why(one):
                text = why.what if isinstance(why.what, Text) else reg.LOGIN_LOCKED(problem=why.what)
                found.append(text.within(f"{one}: {why.subject}: ", f"; {why.hint}"))
        return found

    def _logins(self, wanted: ColumnElement[bool], limit: int | None = None) -> list[Login]:
        c = connections.c
        columns = (c.id, c.type, c.host, c.topic, c.file, *_LOGIN)
        query = select(*columns).where(wanted).order_by(c.id).limit(limit)
        found = []
        for row_id, *place, username, password in self._link.rows(*self._sql.bound(query)):
            name = " ".join(str(part) for part in place if part)
            found.append(Login(int(str(row_id)), name, _text(username), _text(password)))
        return found

    @staticmethod
    def _why(login: Login) -> ConfigError | None:
        """Return why a login cannot be opened, None when it can."""
        try:
            for text in login.texts:
                open_sealed(text)
        except ConfigError as error:
            return error
        return None

    def _refuse_second_key(self) -> None:
        """Keep what a lost key sealed from being mixed with what a new one seals, unless that is wanted."""
        sealed = self._logins(or_(*(_starts(column, SEALED) for column in _LOGIN)), _NAMED + 1)
        if sealed:
            raise RegistryError(
                reg.KEY_GONE(path=self.key_file.path, logins=_names(sealed)), subject=self.database
            )


def rewrite(database: str | Path) -> bool:
    """Rewrite a database file, and drop its log, to remove replaced values from both.

    False while another program has the file open: the log cannot be dropped then. Of a PostgreSQL database
    the table of connections is rewritten; what its server keeps beside that is the server's business.
    """
    if is_url(database):
        from venclient.registry.postgres_link import rewrite_table

        rewrite_table(str(database), connections.name)
        return True
    path = Path(database)
    try:
        with closing(open_driver(path)) as driver:
            driver.execute("VACUUM")
            try:
                driver.execute("PRAGMA journal_mode = DELETE")  # the next to open it turns the log on again
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
                return False
    except sqlite3.Error as error:
        raise said(error, path) from error
    return True


def _starts(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return func.substr(column, 1, len(text)) == text  # LIKE would take ENV: for env:


def _is_literal(column: ColumnElement[str]) -> ColumnElement[bool]:
    others = (_starts(column, text) for text in (SEALED, *REFERENCES))
    return and_(column.is_not(None), column != "", *(~other for other in others))


def _names(logins: Iterable[Login]) -> str:
    texts = [str(login) for login in logins]
    return ", ".join(texts[:_NAMED]) + (" and more" if len(texts) > _NAMED else "")


def _text(cell: object) -> str | None:
    return cell if isinstance(cell, str) else None if cell is None else str(cell)
