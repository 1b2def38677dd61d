"""Every error that venclient raises on purpose, as one tree.

    VenError
    ├── ConfigError               a setting, a file of settings or a command line is wrong
    │   └── BadQuery              a question to the registry makes no sense (also a ValueError)
    ├── RegistryError             the resource database refused something
    │   ├── InvalidRecord         a resource, connection or CSV row breaks a rule (also a ValueError)
    │   ├── NotFound              no such resource or connection (also a LookupError)
    │   └── Conflict              another program changed it or already holds it
    ├── ConnectorError            between us and a meter
    │   ├── ConnectFailed         the endpoint does not answer              (transient)
    │   ├── ReadTimeout           the device did not answer in time         (transient)
    │   ├── Undecodable           bytes came, but not what the options say
    │   └── WriteRefused          the device said no
    ├── StoreError                the readings or state file could not be used
    ├── WireError                 an OpenADR object cannot be understood    (also a ValueError)
    └── VtnError                  between us and the VTN
        ├── VtnUnreachable        no answer, or a broken one                (transient)
        ├── AuthRefused           token refused, or scope missing
        └── VtnProblem            the VTN's own problem document, kept whole

Each says who it is about (`subject`), what happened, and what to do (`hint`). `code` is the stable code of
its message (`venclient.messages`). `transient` decides whether a caller may try again; nothing in the code
matches on message text.
"""

from __future__ import annotations

from venclient.messages import Text, code_of


class VenError(Exception):
    """Base of all errors. `str()` returns "subject: what happened; what to do [code]" on one line.

    `what` is a message of the catalogue (`venclient.messages`), whose hint is used unless `hint` is given.
    """

    transient: bool = False

    def __init__(
        self, what: str, *, subject: str = "", hint: str = "", transient: bool | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.subject = subject
        self.hint = hint or (what.hint if isinstance(what, Text) else "")
        if transient is not None:
            self.transient = transient

    @property
    def code(self) -> str:
        """The code of the message, such as VEN-REG-014; empty for an error raised with plain text."""
        return code_of(self.what)

    @property
    def text(self) -> str:
        """The error without its code, "subject: what happened; what to do"; a `Text` where `what` is one."""
        before = f"{self.subject}: " if self.subject else ""
        after = f"; {self.hint}" if self.hint else ""
        if isinstance(self.what, Text):
            return self.what.within(before, after)
        return f"{before}{self.what}{after}"

    def __str__(self) -> str:
        return f"{self.text} [{self.code}]" if self.code else self.text


class ConfigError(VenError):
    """A setting is missing or wrong; `problems` lists every mistake found, one sentence each."""

    def __init__(
        self, what: str, *, subject: str = "", hint: str = "", problems: tuple[str, ...] = ()
    ) -> None:
        super().__init__(what, subject=subject, hint=hint)
        self.problems = problems or (str(self),)


class BadQuery(ConfigError, ValueError):
    """A question to the registry makes no sense; `problems` lists every mistake in it."""


class RegistryError(VenError):
    """The resource database refused something."""


class InvalidRecord(RegistryError, ValueError):
    """A resource, connection or CSV row breaks a rule; `problems` lists all of them at once."""

    def __init__(
        self, what: str, *, subject: str = "", hint: str = "", problems: tuple[str, ...] = ()
    ) -> None:
        super().__init__(what, subject=subject, hint=hint)
        self.problems = problems or (what,)


class NotFound(RegistryError, LookupError):
    """No such resource or connection."""


class Conflict(RegistryError):
    """Somebody else changed or already holds the thing."""


class ConnectorError(VenError):
    """Something between us and a meter failed; subject names the resource or endpoint."""


class ConnectFailed(ConnectorError):
    """Nobody answers at the endpoint."""

    transient = True


class ReadTimeout(ConnectorError):
    """The device did not answer in time."""

    transient = True


class Undecodable(ConnectorError):
    """The device answered, but not with what the connection's options describe."""


class WriteRefused(ConnectorError):
    """The device refused a value."""


class StoreError(VenError):
    """The readings or state file could not be opened, read or written."""


class WireError(VenError, ValueError):
    """An OpenADR object cannot be understood; subject names the object and member."""


class VtnError(VenError):
    """Something between us and the VTN failed; subject names method and URL.

    `ambiguous` is True when the VTN may have done what was asked all the same: ask before asking again.
    `answered` is True when this request was answered, with an error or with something unreadable: the VTN is
    there, and may answer others. `status` is that of the answer, where there was one.
    """

    ambiguous: bool = False
    answered: bool = False
    status: int | None = None


class VtnUnreachable(VtnError):
    """The VTN gave no answer, or a broken one."""

    transient = True


class AuthRefused(VtnError):
    """The VTN or its token service refused our credentials or scope."""


class VtnProblem(VtnError):
    """The VTN answered with an error; the problem document is kept (RFC 9457 members, all optional).

    `page` says that a web page came in its place, and something before the VTN may have answered.
    """

    answered = True
    status: int

    def __init__(
        self,
        what: str,
        *,
        status: int,
        subject: str = "",
        hint: str = "",
        title: str | None = None,
        detail: str | None = None,
        retry_after_s: float | None = None,
        page: bool = False,
    ) -> None:
        # 501 says that the VTN never will; every other 5xx may pass.
        transient = status in (408, 429) or (status >= 500 and status != 501)
        super().__init__(what, subject=subject, hint=hint, transient=transient)
        self.status = status
        self.title = title
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.page = page

    @property
    def is_conflict(self) -> bool:
        """True for 409: the object, or its name, exists already."""
        return self.status == 409

    @property
    def is_not_found(self) -> bool:
        """True for 404."""
        return self.status == 404
