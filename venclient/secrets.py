"""Secrets in words that may be written down: references, and values sealed with a key file.

    env:NAME          an environment variable
    file:PATH         the content of a file
    credential:NAME   a systemd credential
    sealed:KEY:TOKEN  the value itself, encrypted (Fernet) with the key file whose id is KEY
    anything else     the value itself, a literal: to be sealed before it is stored

This module opens and seals; which file holds which text is its callers' business. Keys that this process
has used are kept by their id: a sealed text can be opened without knowing where it came from.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from venclient.errors import ConfigError
from venclient.messages import Text, text_of
from venclient.messages import registry as reg
from venclient.messages import secrets as sec
from venclient.utils import REDACTED

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_log = logging.getLogger(__name__)

#: Where the key file is when nothing else says so.
KEY_FILE_VARIABLE = "VEN_REGISTRY_KEY_FILE"

_SEALED = re.compile(r"sealed:([0-9a-f]{8}):([A-Za-z0-9_-]+={0,2})")
#: What `Locked` shows.
_NOTICE = re.compile(
    "|".join(
        re.escape(one.template).replace(re.escape("{key}"), "[0-9a-f]*")
        for one in (sec.LOCKED, reg.LOGIN_DAMAGED)
    )
)
SEALED = "sealed:"
REFERENCES = ("env:", "file:", "credential:")
_REMEMBERED = 1024

_lock = threading.Lock()
_ciphers: dict[str, Fernet] = {}  # by the key's id
_digest_keys: dict[str, bytes] = {}  # by the key's id
_values: dict[str, dict[str, str]] = {}  # by the key's id: token -> what it holds
_files: dict[Path, KeyFile] = {}


def is_reference(text: str) -> bool:
    """Tell whether a text says where the secret is: env:, file: or credential:."""
    return text.startswith(REFERENCES)


def is_sealed(text: str) -> bool:
    """Return whether a text is a sealed value, with or without its key."""
    return isinstance(text, Locked) or (text.startswith(SEALED) and _SEALED.fullmatch(text) is not None)


def is_literal(text: str | None) -> bool:
    """Tell whether a text is the secret itself, which must not be stored as it is."""
    return bool(text) and text is not None and not is_reference(text) and not is_sealed(text)


def shown(text: str | None) -> str | None:
    """Return what people and exports may see of a username or password: a reference as it is, else ***."""
    return text if not text or is_reference(text) else REDACTED


class KeyFile:
    """A file with one key, made (mode 0600) when something is sealed for the first time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: tuple[int, int] | None = None
        self._id = ""
        self._tokens: dict[str, str] = {}

    def exists(self) -> bool:
        """Tell whether the file is there."""
        return self.path.exists()

    def key_id(self) -> str | None:
        """Return the id of the key, None without a file; ConfigError when it holds no key."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._state = None
            return None
        except OSError as error:
            raise _unusable(self.path, error.strerror or str(error)) from error
        state = (found.st_mtime_ns, found.st_ino)
        if state != self._state:
            self._id = self._read()
            self._tokens.clear()
            if found.st_mode & 0o077:
                _log.warning(sec.KEY_READABLE(path=self.path))
            self._state = state
        return self._id

    def seal(self, value: str) -> str:
        """Return `value` sealed; the file is made when missing. Equal values give the same text for a while.

        Thousands of meters share one login: encrypting it once makes storing them ten times faster.
        """
        key_id = self.key_id() or self.make()
        token = self._tokens.get(value)
        if token is None:
            if len(self._tokens) >= _REMEMBERED:
                self._tokens.clear()
            token = f"sealed:{key_id}:{_ciphers[key_id].encrypt(value.encode()).decode()}"
            self._tokens[value] = token
        return token

    def digest(self, value: str) -> str:
        """Return a digest of `value` that needs the key to compute; the file is made when missing.

        It starts with the id of the key: digests of one key are equal exactly when their values are.
        """
        key_id = self.key_id() or self.make()
        mark = hmac.new(
            _digest_keys[key_id], value.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()
        return f"hmac:{key_id}:{mark}"

    def make(self) -> str:
        """Write a new key, unless another process just did; return the id of the one that is there."""
        from cryptography.fernet import Fernet

        try:
            # Whole or not at all: another process that sees the file must see a key in it.
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")  # mode 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(Fernet.generate_key() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                try:
                    os.link(name, self.path)
                except FileExistsError:
                    pass
                else:
                    _log.info(sec.KEY_MADE(path=self.path))
            finally:
                Path(name).unlink()
            sync_folder(self.path.parent)
        except OSError as error:
            raise ConfigError(
                sec.KEY_NOT_MADE(problem=error.strerror or error), subject=str(self.path)
            ) from error
        return self.key_id() or ""

    def _read(self) -> str:
        from cryptography.fernet import Fernet

        try:
            key = self.path.read_bytes().strip()
            cipher = Fernet(key)
        except OSError as error:
            raise _unusable(self.path, error.strerror or str(error)) from error
        except ValueError as error:
            raise _unusable(self.path, sec.KEY_EMPTY()) from error
        key_id = hashlib.sha256(b"venclient key\0" + key).hexdigest()[:8]
        with _lock:
            _ciphers[key_id] = cipher
            _digest_keys[key_id] = hashlib.sha256(b"venclient digest\0" + key).digest()
        return key_id


def key_file(path: Path) -> KeyFile:
    """Return the key file at `path`, the same object each time; its key then opens what it sealed."""
    path = path.absolute()
    with _lock:
        return _files.setdefault(path, KeyFile(path))


def key_path_of(database: str) -> Path | None:
    """Return where the key of a database is: VEN_REGISTRY_KEY_FILE, else beside the file as `<file>.key`.

    None for a URL when the variable is not set: a key in the current folder would be another one for
    each program.
    """
    configured = os.environ.get(KEY_FILE_VARIABLE)
    if configured:
        return Path(configured)
    return None if "://" in database else Path(f"{database}.key")


class Locked(str):
    """What stands for a login whose key is missing: a text that says so, wherever it is shown or written.

    The sealed text is in `sealed`, which is what the registry stores and compares. A program that takes the
    login for a password, copies it or writes it as JSON gets the text that says what is wrong.
    """

    __slots__ = ("sealed",)
    sealed: str

    def __new__(cls, sealed: str) -> Self:
        """Make the text about a sealed one."""
        match = _SEALED.fullmatch(sealed)
        notice = sec.LOCKED(key=match[1]) if match and not is_open(sealed) else reg.LOGIN_DAMAGED()
        text = super().__new__(cls, str(notice))
        text.sealed = sealed
        return text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Locked) and self.sealed == other.sealed

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.sealed)

    def __repr__(self) -> str:
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Locked, (self.sealed,)


def is_notice(text: str) -> bool:
    """Return whether a text is what `Locked` shows: it says that a key is missing, so it cannot be used."""
    return text.startswith("(sealed") and _NOTICE.fullmatch(text) is not None


def login_problem(text: str) -> Text | None:
    """Return why a text cannot be a username or password: it is a notice, or a sealed text that was cut."""
    if is_notice(text):
        return reg.LOGIN_IS_NOTICE()
    return reg.LOGIN_DAMAGED() if text.startswith(SEALED) and not is_sealed(text) else None


def opened(text: str) -> str:
    """Return the value of a stored text: opened where it is sealed, `Locked` when that cannot be."""
    if isinstance(text, Locked):
        text = text.sealed  # its key may have been put back
    if not isinstance(text, str) or not text.startswith(SEALED):
        return text
    if _SEALED.fullmatch(text) is None:
        return Locked(text)  # cut off or changed: only what is sealed is stored like this
    try:
        return open_sealed(text)
    except ConfigError:
        return Locked(text)  # who needs the value asks `open_sealed`, which says why there is none


def is_open(text: str) -> bool:
    """Return whether the key of a sealed text, or of the head of one, is available."""
    key_id = text.removeprefix(SEALED)[:8]
    return key_id in _ciphers or _found(key_id) is not None


def open_sealed(text: str) -> str:
    """Return the value of a sealed text; ConfigError says which key is missing, never the value."""
    from cryptography.fernet import InvalidToken

    if isinstance(text, Locked):
        text = text.sealed
    elif is_notice(text):
        raise ConfigError(reg.LOGIN_IS_NOTICE(), subject=reg.LOGIN())
    match = _SEALED.fullmatch(text)
    if match is None and text.startswith(SEALED):
        raise ConfigError(reg.LOGIN_DAMAGED(), subject=reg.LOGIN())
    if match is None:
        return text
    key_id, token = match.groups()
    cipher = _ciphers.get(key_id) or _found(key_id)
    if cipher is None:
        raise ConfigError(
            sec.KEY_MISSING(key=key_id, places=[str(path) for path in _files])
            if _files
            else sec.KEY_UNKNOWN(key=key_id, variable=KEY_FILE_VARIABLE),
            subject=sec.LOGIN(),
        )
    memo = _values.setdefault(key_id, {})
    known = memo.get(token)
    if known is not None:
        return known
    try:
        value = cipher.decrypt(token.encode()).decode()
    except (InvalidToken, UnicodeDecodeError):
        raise ConfigError(sec.SEALED_DAMAGED(key=key_id), subject=sec.LOGIN()) from None
    if len(memo) >= _REMEMBERED:
        memo.clear()
    memo[token] = value  # thousands of meters share one login
    return value


def _found(key_id: str) -> Fernet | None:
    """Look into the key files that may have been made or put back meanwhile."""
    for file in list(_files.values()):
        try:
            file.key_id()
        except ConfigError as error:
            _log.debug("%s", error)
    return _ciphers.get(key_id)


def resolve_secret(reference: str, *, folder: Path | None = None) -> str:
    """Return the secret that a reference names or a sealed text holds; any other text as it is.

    Relative paths start at `folder`. ConfigError says which could not be found, never its value.
    """
    if isinstance(reference, Locked) or is_notice(reference):
        return open_sealed(reference)
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name)
        if value is None:
            raise ConfigError(sec.VARIABLE_UNSET(), subject=reference)
        return value
    if kind == "credential":
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise ConfigError(sec.NO_CREDENTIALS(), subject=reference)
        return _read_secret(Path(directory) / name, reference)
    if kind == "file":
        return _read_secret((folder or Path.cwd()) / name, reference)
    return open_sealed(reference) if kind == "sealed" else reference


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_secret(path: Path, reference: str) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(sec.SECRET_UNREADABLE(problem=text_of(error)), subject=reference) from error
    except UnicodeDecodeError as error:
        raise ConfigError(sec.SECRET_NOT_TEXT(path=path), subject=reference) from error


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(sec.KEY_UNUSABLE(problem=why), subject=str(path))
