"""Header names and words that people use in lists of sites, in the languages met so far.

A header is compared without case, punctuation and brackets: "Max power (kW)" is "max power kw". Of several
columns that may hold one meaning, the one whose name stands first here is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import product

from venclient.model.resource import ConnectionType, ResourceType, enum_member
from venclient.registry.meterpoint import normalised

_MARKS = re.compile(r"[_\-()\[\]{}/\\.,:;#*°?'\"]+")


def _each(*parts: Iterable[str]) -> tuple[str, ...]:
    """Return all combinations of words, one of each part; an empty one is left out."""
    return tuple(" ".join(filter(None, words)) for words in product(*parts))


_BEFORE, _DEGREES = ("", "gps", "geo", "site"), ("", "deg", "degrees", "wgs84", "decimal")
_KW, _KWH = ("", "kw", "kwp"), ("", "kwh")

#: What a column can mean, and the header names that say so.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "title": (
        *("name", "site name", "resource name", "resourcename", "navn", "namn", "bezeichnung", "site"),
        *("name of site", "asset name", "facility name", "building name", "location name", "plant name"),
        *("station name", "customer name", "company name", "anlægsnavn", "anlagenname", "standortname"),
        *("asset", "facility", "building", "plant", "customer", "company", "standort", "lokation", "anlæg"),
    ),
    "address": (
        *("adresse", "adress", "full address", "anschrift", "site address", "street address", "addr"),
        *("postal address",),
    ),
    "street": ("straße", "strasse", "gade", "gate", "vejnavn", "gatuadress", "street name"),
    "house_number": ("hausnummer", "hausnr", "husnummer", "husnr", "house no", "house number", "house nr"),
    "address_extra": ("adresszusatz",),
    "post_code": (
        *("postleitzahl", "plz", "postnr", "post nr", "postnummer", "postcode", "postal code", "zip"),
        *("zip code", "zipcode", "post code", "post no", "zip postal code", "zip postcode", "postalcode"),
    ),
    "town": (
        *("ort", "by", "city", "poststed", "postby", "postort", "post town", "stadt", "town city"),
        *("city town", "locality", "city name"),
    ),
    "country": ("land",),
    "latitude": (
        *_each(_BEFORE, ("lat", "latitude"), _DEGREES),
        *("latitute", "lattitude", "latitide", "breitengrad", "breite", "breddegrad", "latitud"),
    ),
    "longitude": (
        *_each(_BEFORE, ("lon", "lng", "long", "longitude"), _DEGREES),
        *("längengrad", "laengengrad", "länge", "lengdegrad", "længdegrad", "laengdegrad", "longitud"),
        *("longtitude", "longditude", "longitute", "longitide", "lontitude"),
    ),
    "coordinates": (
        *("coordinate", "koordinaten", "koordinater", "koordinat", "latlon", "lat lon", "latlng", "lat lng"),
        *("lat long", "latitude longitude", "cordinates", "coords", "coord", "gps", "gps coordinates"),
        *("gps location", "gps position", "geolocation", "geo coordinates", "gps koordinater", "position"),
    ),
    "meterpoint_id": (
        *("meter point id", "meterpointid", "metering point", "metering point id", "meter point", "gsrn"),
        *("målepunkt", "målepunktid", "målepunkts id", "målepunkt id", "metering point number", "mpan"),
        *("meter point number", "zählpunkt", "zählpunktnummer"),
    ),
    "resource_id": ("resourceid",),
    "resource_type": (
        *("resourcetype", "type", "ressourcetype", "anlægstype", "anlagentyp", "typ", "asset type"),
        *("device type", "site type", "type of site", "technology", "kind", "art", "category", "kategori"),
    ),
    "resource_sub_type": ("resourcesubtype", "sub type", "subtype"),
    "ven": ("ven name", "venname"),
    "key": (),
    "p_max_kw": (
        *_each(("p max", "pmax", "max power", "maximum power", "power max", "power"), _KW),
        *_each(("nominal power", "rated power", "installed power", "peak power", "connection power"), _KW),
        *_each(("max effekt", "maks effekt", "installeret effekt", "nominel effekt", "effekt"), _KW),
        *_each(("anschlussleistung", "nennleistung", "maximalleistung", "max leistung", "leistung"), _KW),
        *_each(("capacity", "installed capacity", "rated", "max", "power rating"), ("kw", "kwp")),
        *("kw", "kwp", "kw max", "kw peak"),
    ),
    "p_min_kw": (
        *_each(("p min", "pmin", "min power", "minimum power", "power min", "min effekt"), _KW),
        *_each(("min leistung", "min"), ("kw",)),
    ),
    "e_max_kwh": (
        *_each(("e max", "emax", "max energy", "energy max", "energy capacity", "battery capacity"), _KWH),
        *_each(("storage capacity", "battery size", "batterikapacitet", "batteriekapazität"), _KWH),
        *_each(("capacity", "energy", "storage", "battery", "kapazität", "kapacitet"), ("kwh",)),
    ),
    "e_min_kwh": _each(("e min", "emin", "min energy", "energy min"), _KWH),
    "enabled": ("active", "aktiv"),
    "connection_type": ("protocol", "protokol", "protokoll", "connection", "connection protocol"),
    "host": (
        *("connection host", "ip", "ip address", "ip adresse", "ip addr", "hostname", "host name"),
        *("meter ip", "device ip", "modbus ip", "modbus host", "broker", "mqtt broker", "mqtt host"),
    ),
    "port": ("connection port", "tcp port", "modbus port", "mqtt port", "port number", "port no"),
    "topic": ("connection topic", "mqtt topic"),
    "file": ("connection file", "meter file", "meter data file"),
    "template": ("connection template", "device template", "meter template"),
}

#: Words for resource types beside their names. Weak ones also name other things, such as a self storage.
TYPE_WORDS: Mapping[ResourceType, tuple[str, ...]] = {
    ResourceType.PV: (
        *("solar", "solar pv", "pv plant", "pv system", "pv anlage", "solar plant", "solar panels"),
        *("solar power", "rooftop pv", "rooftop solar", "photovoltaics", "photovoltaik", "solaranlage"),
        *("solceller", "solcelle", "solcelleanlæg", "solcelleanlaeg", "solkraft"),
    ),
    ResourceType.EV: (
        *("charger", "ev charger", "ev charging", "ev charging station", "charging station", "charge point"),
        *("charging stations", "charging point", "chargepoint", "evse", "wallbox", "ladestation"),
        *("ladestander", "ladesäule", "ladepunkt", "elbil", "elbillader", "electric vehicle charger"),
    ),
    ResourceType.BATTERY: (
        *("bess", "batteries", "battery storage", "battery energy storage", "energy storage", "batteri"),
        *("batterie", "batteriespeicher", "energilager", "batterilager", "stromspeicher"),
    ),
    ResourceType.DSR: (
        *("demand side response", "demand response", "flexible load", "flexible consumption"),
        *("fleksibelt forbrug", "flexible last"),
    ),
}
WEAK_TYPE_WORDS: Mapping[str, ResourceType] = {
    "storage": ResourceType.BATTERY,
    "speicher": ResourceType.BATTERY,
    "load": ResourceType.DSR,
    "consumption": ResourceType.DSR,
    "demand": ResourceType.DSR,
    "forbrug": ResourceType.DSR,
    "last": ResourceType.DSR,
}


def loose(name: str) -> str:
    """Return a header or word as it is compared: no case, punctuation or brackets, single spaces."""
    return " ".join(_MARKS.sub(" ", normalised(name)).split())


BY_NAME: Mapping[str, str] = {
    loose(name): meaning for meaning, names in SYNONYMS.items() for name in (meaning, *names)
}
_RANKS: Mapping[str, Mapping[str, int]] = {
    meaning: {loose(name): place for place, name in reversed([*enumerate((meaning, *names))])}
    for meaning, names in SYNONYMS.items()
}
_STRONG = {loose(word): kind for kind, words in TYPE_WORDS.items() for word in words}


def rank(meaning: str, name: str) -> int:
    """Return how well a header says a meaning: 0 is best."""
    return _RANKS[meaning][loose(name)]


def resource_type(text: str) -> ResourceType:
    """Return the type that a cell names, by its name or a common word; ValueError lists the names."""
    word = loose(text)
    if (kind := _STRONG.get(word) or WEAK_TYPE_WORDS.get(word)) is not None:
        return kind
    return enum_member(ResourceType, text)


def connection_type(text: str) -> ConnectionType:
    """Return the type that a cell names, however it is spaced ("Modbus TCP"); ValueError lists the names."""
    word = loose(text).replace(" ", "")
    if word in ("file", "csv", "csvfile"):
        return ConnectionType.FILEREADER
    try:
        return enum_member(ConnectionType, word)
    except ValueError:
        return enum_member(ConnectionType, text)


def holds_types(cells: Iterable[str], *, is_type: bool) -> bool:
    """Return whether a column holds resource types, and not another classification ("restaurant").

    `is_type` says that its header is about types: then weak words count when all cells are known.
    """
    words = {word for cell in cells if (word := loose(cell))}
    strong = {word for word in words if word in _STRONG or _is_member(word)}
    return bool(strong) or (is_type and bool(words) and words <= WEAK_TYPE_WORDS.keys())


def _is_member(word: str) -> bool:
    try:
        enum_member(ResourceType, word)
    except ValueError:
        return False
    return True
