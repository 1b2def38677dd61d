"""Names that OpenADR 3.1 defines (Definition.md, "Enumerations") and that this program acts on.

Every enumeration of the standard is open: other strings are legal and private, so these are constants
and sets, never types that refuse.
"""

from __future__ import annotations

from typing import Final

VEN_REQUEST: Final = "VEN_VEN_REQUEST"
RESOURCE_REQUEST: Final = "VEN_RESOURCE_REQUEST"
EVENT_PAYLOAD_DESCRIPTOR: Final = "EVENT_PAYLOAD_DESCRIPTOR"
REPORT_PAYLOAD_DESCRIPTOR: Final = "REPORT_PAYLOAD_DESCRIPTOR"

#: Resource name of a report that sums several resources (User Guide 7.7).
AGGREGATED_REPORT: Final = "AGGREGATED_REPORT"

#: Payload types whose values are whole numbers; every other numeric value is a float on the wire.
INTEGER_PAYLOADS: Final = frozenset(
    {
        "SIMPLE",
        "SIMPLE_LEVEL",
        "CONTROL_LEVEL_OFFSET",
        "CTA2045_REBOOT",
        "CTA2045_SET_OVERRIDE_STATUS",
    }
)

#: Event payload types with one value for each interval: several split it (User Guide 7.3). Of a CURVE, an
#: OLS list, a location or a private type several values belong together.
SINGLE_VALUED_PAYLOADS: Final = frozenset(
    {
        "SIMPLE",
        "PRICE",
        "PRICE_ALTERNATE",
        "EXPORT_PRICE",
        "GHG",
        "CHARGE_STATE_SETPOINT",
        "DISPATCH_SETPOINT",
        "DISPATCH_SETPOINT_RELATIVE",
        "DISPATCH_INSTRUCTION",
        "CONTROL_SETPOINT",
        "CONTROL_LEVEL_OFFSET",
        "CONTROL_LEVEL_OFFSET_PERCENT",
        *(
            f"{way}_CAPACITY_{what}"
            for way in ("IMPORT", "EXPORT")
            for what in (
                "SUBSCRIPTION",
                "RESERVATION",
                "RESERVATION_FEE",
                "AVAILABLE",
                "AVAILABLE_PRICE",
                "LIMIT",
            )
        ),
    }
)

REPORT_PAYLOADS: Final = frozenset(
    {
        "READING",
        "USAGE",
        "DEMAND",
        "SETPOINT",
        "DELTA_USAGE",
        "BASELINE",
        "OPERATING_STATE",
        "UP_REGULATION_AVAILABLE",
        "DOWN_REGULATION_AVAILABLE",
        "REGULATION_SETPOINT",
        "STORAGE_USABLE_CAPACITY",
        "STORAGE_CHARGE_LEVEL",
        "STORAGE_MAX_DISCHARGE_POWER",
        "STORAGE_MAX_CHARGE_POWER",
        "SIMPLE_LEVEL",
        "USAGE_FORECAST",
        "STORAGE_DISPATCH_FORECAST",
        "LOAD_SHED_DELTA_AVAILABLE",
        "GENERATION_DELTA_AVAILABLE",
        "DATA_QUALITY",
        "IMPORT_RESERVATION_CAPACITY",
        "IMPORT_RESERVATION_FEE",
        "EXPORT_RESERVATION_CAPACITY",
        "EXPORT_RESERVATION_FEE",
    }
)

DATA_QUALITIES: Final = frozenset({"OK", "MISSING", "ESTIMATED", "BAD"})

READING_TYPES: Final = frozenset(
    {"DIRECT_READ", "ESTIMATED", "SUMMED", "MEAN", "PEAK", "FORECAST", "AVERAGE"}
)

UNITS: Final = frozenset(
    {
        "KWH",
        "THERMS",
        "GHG",
        "VOLTS",
        "AMPS",
        "CELSIUS",
        "FAHRENHEIT",
        "PERCENT",
        "KW",
        "KVAH",
        "KVARH",
        "KVA",
        "KVAR",
    }
)

#: Members of a 3.0 program that 3.1 writes as attributes of these types.
PROGRAM_ATTRIBUTES_OF_3_0: Final = {
    "programLongName": "PROGRAM_LONG_NAME",
    "retailerName": "RETAILER_NAME",
    "retailerLongName": "RETAILER_LONG_NAME",
    "programType": "PROGRAM_TYPE",
    "country": "COUNTRY",
    "principalSubdivision": "PRINCIPAL_SUBDIVISION",
    "timeZoneOffset": "TIME_ZONE_OFFSET",
    "bindingEvents": "BINDING_EVENTS",
    "localPrice": "LOCAL",
}

#: The type of targets of 3.0.1 that name VENs: others beside them choose among what these VENs have.
VEN_NAME = "VEN_NAME"
