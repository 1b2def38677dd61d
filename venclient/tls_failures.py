"""What went wrong with TLS, by kind: each kind has its own message, and its own way out."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime

from venclient.messages import Message, Text, tls
from venclient.messages.printable import foreign

#: Results of the verification (X509_V_ERR_... in OpenSSL).
_BY_RESULT = {
    9: tls.NOT_YET_VALID,
    10: tls.EXPIRED,
    18: tls.SELF_SIGNED,
    2: tls.UNKNOWN_AUTHORITY,
    19: tls.UNKNOWN_AUTHORITY,
    20: tls.UNKNOWN_AUTHORITY,
    21: tls.UNKNOWN_AUTHORITY,
    62: tls.OTHER_HOST,
    64: tls.OTHER_HOST,
}
#: Alerts of a server about a certificate that it asked for.
_REQUIRES = ("CERTIFICATE_REQUIRED", "PEER_DID_NOT_RETURN_A_CERTIFICATE")
_REFUSES = (
    "ALERT_UNKNOWN_CA",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_ACCESS_DENIED",
    "ALERT_DECRYPT_ERROR",
)
_HANDSHAKE = ("HANDSHAKE_FAILURE", "ALERT_INSUFFICIENT_SECURITY", "NO_SHARED_CIPHER")


@dataclass(frozen=True)
class Side:
    """Who is at the other end, and the settings for it; `has_cert`: we have a certificate to show."""

    peer: str
    address: str
    ca: str
    cert: str
    has_cert: bool

    def _text(self, message: Message, problem: str, now: datetime) -> Text:
        return message(
            peer=self.peer, address=self.address, ca=self.ca, cert=self.cert, problem=problem, now=now
        )

    def text(self, error: BaseException | None, now: datetime) -> Text | None:
        """Return the message for a failure of TLS, also one that another error was raised from; else None."""
        failed = tls_error(error)
        if failed is None:
            return None
        if isinstance(failed, ssl.SSLCertVerificationError):
            problem = foreign(getattr(failed, "verify_message", "") or str(failed))
            code = int(getattr(failed, "verify_code", 0))
            return self._text(_BY_RESULT.get(code, tls.NOT_TRUSTED), problem, now)
        reason = str(getattr(failed, "reason", "") or "")
        problem = foreign(reason.lower().replace("_", " "))
        if any(word in reason for word in _REQUIRES):
            return self._text(tls.CLIENT_REQUIRED, problem, now)
        if any(word in reason for word in _REFUSES):
            message = tls.CLIENT_REFUSED if self.has_cert else tls.CLIENT_REQUIRED
            return self._text(message, problem, now)
        if any(word in reason for word in _HANDSHAKE):
            # Before TLS 1.3 this is how a certificate is asked for that was not shown.
            return self._text(tls.HANDSHAKE, problem, now)
        return None

    def lost(self, problem: str, now: datetime) -> Text:
        """Return the message for a connection that ended without a reason, and with our certificate."""
        return self._text(tls.CLIENT_SUSPECTED, problem, now)


def tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """Return the failure of TLS that an error was raised from; None when it was none."""
    for _ in range(10):
        if error is None or isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None


def vtn_side(*, has_cert: bool) -> Side:
    """Return the side of a VTN."""
    return Side(tls.VTN(), "vtn.url", "vtn.ca_file", tls.VTN_PAIR(), has_cert)


def broker_side(*, has_cert: bool) -> Side:
    """Return the side of an MQTT broker that meters send to."""
    return Side(tls.BROKER(), "host", "ca_file", tls.BROKER_PAIR(), has_cert)


def vtn_broker_side(*, has_cert: bool) -> Side:
    """Return the side of the broker that a VTN names for notifications."""
    return Side(tls.VTN_BROKER(), tls.NAMED_BROKER(), "vtn.ca_file", tls.VTN_PAIR(), has_cert)


def influx_side() -> Side:
    """Return the side of an InfluxDB."""
    return Side(tls.INFLUX(), "influx.url", "influx.ca_file", tls.NO_CLIENT_CERTIFICATE(), has_cert=False)
