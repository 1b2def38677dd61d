"""Secrets as text: what is a reference, what is sealed, and what opens it."""

from __future__ import annotations

import copy
import json
import pickle
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codes import raises_code
from venclient.errors import ConfigError
from venclient.messages import code_of
from venclient.secrets import (
    KeyFile,
    Locked,
    is_literal,
    is_sealed,
    key_file,
    key_path_of,
    open_sealed,
    opened,
    resolve_secret,
    shown,
)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> KeyFile:
    """Return a key file."""
    return key_file(tmp_path_factory.mktemp("key") / "some.key")


@given(st.text(min_size=1, max_size=60))
def test_what_is_sealed_opens_again(key: KeyFile, value: str) -> None:
    """Any literal comes back from its sealed form, which does not show it and is not a literal."""
    sealed = key.seal(value)

    assert open_sealed(sealed) == value
    assert opened(sealed) == value
    assert resolve_secret(sealed) == value
    assert is_sealed(sealed)
    assert not is_literal(sealed)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        (None, False),
        ("", False),
        ("env:NAME", False),
        ("file:/run/secret", False),
        ("credential:mqtt", False),
        ("hunter2", True),
        ("ENV:NAME", True),
        ("sealed:", True),
        ("sealed:0123abcd:not a token", True),
    ],
)
def test_literals_are_told_from_references(text: str | None, literal: bool) -> None:
    """Only a text that is the secret itself is a literal, also when it begins as a sealed one does."""
    assert is_literal(text) is literal


def test_shown_hides_all_but_references(key: KeyFile) -> None:
    """A reference may be seen; a literal and a sealed text are three stars."""
    assert [shown(text) for text in (None, "", "env:NAME", "hunter2", key.seal("hunter2"))] == [
        None,
        "",
        "env:NAME",
        "***",
        "***",
    ]


def test_key_file_is_the_owners_alone(tmp_path: Path) -> None:
    """The key file is made when the first value is sealed, for its owner only, and nothing else is left."""
    made = key_file(tmp_path / "some.key")
    assert not made.exists()

    made.seal("hunter2")

    assert [path.name for path in tmp_path.iterdir()] == ["some.key"]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600


def test_key_file_that_others_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A key file with a mode that lets others in is used, with a warning that says what to type."""
    KeyFile(tmp_path / "some.key").make()
    (tmp_path / "some.key").chmod(0o644)

    KeyFile(tmp_path / "some.key").seal("hunter2")

    assert "VEN-SEC-002" in {code_of(record.msg) for record in caplog.records}


def test_two_that_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    """Of many that find no key file and make one, all end with the same key."""
    barrier = threading.Barrier(8)
    ids: list[str] = []

    def make() -> None:
        barrier.wait()
        ids.append(KeyFile(tmp_path / "some.key").make())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ids) == 8
    assert len(set(ids)) == 1


def test_missing_key_is_said_and_the_text_kept(key: KeyFile) -> None:
    """Without its key a sealed text stays as it is; opening it fails and names the missing key."""
    key.seal("another")  # makes a key file known, though not the right one
    sealed = "sealed:00000000:gAAAAABl"

    locked = opened(sealed)
    assert isinstance(locked, Locked)
    assert locked.sealed == sealed
    with raises_code(ConfigError, "VEN-SEC-006"):
        resolve_secret(sealed)


@pytest.mark.parametrize(
    "use",
    [
        str,
        repr,
        json.dumps,
        "{}".format,
        lambda one: f"{one:>80}",
        lambda one: "password=" + one,
        lambda one: "".join([one]),
        lambda one: one.encode().decode(),
        lambda one: str(copy.deepcopy({"password": one})),
        lambda one: json.dumps(pickle.loads(pickle.dumps(one))),
    ],
)
def test_no_use_of_a_locked_login_gives_the_sealed_text(use: Callable[[str], str]) -> None:
    """However a program takes it, it gets a text that says what is missing."""
    got = use(opened("sealed:00000000:gAAAAABl"))

    assert "sealed:" not in got
    assert "sealed with the key 00000000, which is missing" in got


def test_locked_logins_are_equal_when_their_sealed_texts_are() -> None:
    """Two logins sealed with one lost key look alike and are not the same."""
    one, same, other = (opened(f"sealed:00000000:{token}") for token in ("AAAA", "AAAA", "BBBB"))

    assert one == same == pickle.loads(pickle.dumps(one)) == copy.deepcopy(one)
    assert one != other
    assert one != str(one)
    assert len({one, same, other}) == 2


def test_the_notice_of_a_locked_login_is_no_secret() -> None:
    """Written into a file and read again, the notice is refused, not sent to a device."""
    notice = str(opened("sealed:00000000:gAAAAABl"))

    with pytest.raises(ConfigError, match="VEN-REG-218"):
        resolve_secret(notice)


@pytest.mark.parametrize("text", ["sealed:", "sealed:00000000", "sealed:00000000:not a token"])
def test_stored_text_that_was_cut_is_not_a_login(text: str) -> None:
    """A sealed text that lost its end is reported as damaged, and not used as it is."""
    assert "damaged" in opened(text)
    with pytest.raises(ConfigError, match="VEN-REG-219"):
        resolve_secret(text)


def test_damaged_text_is_said(key: KeyFile) -> None:
    """A sealed text that was cut or changed is reported as that, without showing anything of it."""
    sealed = key.seal("hunter2")
    cut = sealed[:-6] + "AAAA=="

    with pytest.raises(ConfigError, match="VEN-SEC-008") as caught:
        open_sealed(cut)

    assert cut[-30:] not in str(caught.value)


def test_key_that_is_put_back_opens_at_once(tmp_path: Path) -> None:
    """A key file that comes back while the program runs opens what it sealed."""
    elsewhere = KeyFile(tmp_path / "elsewhere.key")
    elsewhere.make()
    content = elsewhere.path.read_bytes()
    from cryptography.fernet import Fernet

    key_id = elsewhere.key_id()
    sealed = f"sealed:{key_id}:{Fernet(content.strip()).encrypt(b'hunter2').decode()}"
    place = key_file(tmp_path / "resources.db.key")
    place.path.write_bytes(content)
    place.path.chmod(0o600)

    assert open_sealed(sealed) == "hunter2"


@pytest.mark.parametrize("content", [b"", b"hunter2", b"\xff\xfe"])
def test_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that holds something else is not a key file, and is left as it is."""
    path = tmp_path / "some.key"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(ConfigError, match="VEN-SEC-005"):
        KeyFile(path).seal("x")

    assert path.read_bytes() == content


def test_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A key file that cannot be made is reported with its path and the setting that names another."""
    with pytest.raises(ConfigError, match="VEN-SEC-004"):
        KeyFile(tmp_path / "nowhere" / "some.key").seal("x")


def test_where_the_key_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is beside the file, and nowhere for a URL, unless the environment says otherwise."""
    monkeypatch.delenv("VEN_REGISTRY_KEY_FILE", raising=False)
    assert key_path_of("config/resources.db") == Path("config/resources.db.key")
    assert key_path_of("postgresql://host/name") is None

    monkeypatch.setenv("VEN_REGISTRY_KEY_FILE", "/etc/ven/key")
    assert key_path_of("config/resources.db") == Path("/etc/ven/key")


def test_a_secret_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    """A missing file and one that is not text are reported by path, without the names of Python classes."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    with raises_code(ConfigError, "VEN-SEC-011") as missing:
        resolve_secret("file:none", folder=tmp_path)
    with raises_code(ConfigError, "VEN-SEC-014") as binary:
        resolve_secret("file:binary", folder=tmp_path)

    assert str(tmp_path / "none") in str(missing.value)
    assert str(tmp_path / "binary") in str(binary.value)
    assert "Error" not in str(missing.value) + str(binary.value)
