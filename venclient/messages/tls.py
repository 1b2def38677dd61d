"""Messages about TLS (VEN-TLS) with a VTN, an MQTT broker or InfluxDB."""

from __future__ import annotations

from venclient.messages import error, info

EXPIRED = error(
    "VEN-TLS-280",
    "the certificate of {peer} has expired ({problem})",
    hint="check the clock of this machine (timedatectl), which says {now:%Y-%m-%d}; if it is right, the "
    "operator of {peer} must renew the certificate",
)
NOT_YET_VALID = error(
    "VEN-TLS-281",
    "the certificate of {peer} is not valid yet ({problem})",
    hint="check the clock of this machine (timedatectl), which says {now:%Y-%m-%d}",
)
SELF_SIGNED = error(
    "VEN-TLS-282",
    "the certificate of {peer} is self-signed, so it is not trusted ({problem})",
    hint="if {address} is right, set {ca} to a copy of this certificate",
)
OTHER_HOST = error(
    "VEN-TLS-283",
    "the certificate of {peer} is for another host name ({problem})",
    hint="use in {address} the name that the certificate is for",
)
UNKNOWN_AUTHORITY = error(
    "VEN-TLS-284",
    "the certificate of {peer} is from an authority that is not trusted ({problem})",
    hint="set {ca} to the certificate of that authority, together with those between",
)
NOT_TRUSTED = error(
    "VEN-TLS-285",
    "the certificate of {peer} is not trusted ({problem})",
    hint="set {ca} to its certificate authority, or have the certificate renewed",
)
CLIENT_REQUIRED = error(
    "VEN-TLS-286",
    "{peer} requires a client certificate ({problem})",
    hint="set {cert}; the operator of {peer} issues the certificate",
)
CLIENT_REFUSED = error(
    "VEN-TLS-287",
    "{peer} refuses the client certificate of this gateway ({problem})",
    hint="check that {cert} is a certificate that {peer} trusts, and that it has not expired",
)
CLIENT_SUSPECTED = error(
    "VEN-TLS-288",
    "the connection was lost ({problem})",
    hint="check the network and {address}; where it never works, {peer} may refuse the client certificate: "
    "check that {cert} is one that it trusts, and has not expired",
)
HANDSHAKE = error(
    "VEN-TLS-289",
    "{peer} ended the TLS handshake ({problem})",
    hint="check {address}; {peer} may require a client certificate ({cert}) or other kinds of encryption",
)
NO_CLIENT_CERTIFICATE = info("VEN-TLS-290", "a proxy before it, as client certificates are not supported")

# What the messages are about

VTN = info("VEN-TLS-291", "the VTN")
BROKER = info("VEN-TLS-292", "the broker")
INFLUX = info("VEN-TLS-293", "InfluxDB")
VTN_PAIR = info("VEN-TLS-294", "vtn.cert_file with vtn.key_file")
BROKER_PAIR = info("VEN-TLS-295", "cert_file with key_file in the options of the connection")
VTN_BROKER = info("VEN-TLS-296", "the MQTT broker of the VTN")
NAMED_BROKER = info("VEN-TLS-297", "the address that the VTN gives")
