"""Messages of MODBUSTCP: registers and options, device templates, SunSpec, the link, and setpoints."""

from __future__ import annotations

from venclient.messages import error, info, warning

# Registers

STRING_LENGTH = error(
    "VEN-MOD-001", "length, in registers, is required for type string and invalid for others"
)
REGISTER_END = error("VEN-MOD-002", "{type} at address {address} ends after the last register 65535")
SCALE = error("VEN-MOD-003", "invalid scale: must be a finite number other than 0")
OFFSET = error("VEN-MOD-004", "invalid offset: must be a finite number")
BIT_KIND = error("VEN-MOD-005", "a {kind} is a single bit: use type bool without bit")
BIT_TYPE = error("VEN-MOD-006", "bit is for type bool only: use mask and shift for several bits")
BYTE_TYPE = error("VEN-MOD-007", "byte is for the types int8 and uint8 only")
SCALE_REGISTER_TYPE = error("VEN-MOD-008", "scale_register cannot be used with type {type}")
MASK_TYPE = error("VEN-MOD-009", "mask and shift are for unsigned integers only (uint8 to uint64)")
MASK_RANGE = error("VEN-MOD-010", "mask: {mask} does not fit {type}")
SHIFT_RANGE = error("VEN-MOD-011", "shift: {shift} leaves no bits of {type}")
MASK_NUMBER = error("VEN-MOD-012", 'mask: invalid {mask}: expected a whole number, such as 240 or "0x00F0"')
NAN_NUMBER = error("VEN-MOD-013", 'nan: invalid {nan}: expected a whole number, such as 32768 or "0x8000"')
NAN_RANGE = error("VEN-MOD-014", "nan: {nan} does not fit {type}")
FORBIDDEN_ORDER = error("VEN-MOD-015", "last ({last}) must not be lower than first ({first})")
BLOCK_LENGTH = error("VEN-MOD-016", "received {count:register|registers}, expected {expected}")

# Encoding a value

ENCODE_FINITE = error("VEN-MOD-020", "{value:g} cannot be stored in a register")
ENCODE_LONG = error("VEN-MOD-021", "{value:g} has more characters than {words:register holds|registers hold}")
ENCODE_RANGE = error("VEN-MOD-022", "{value:g} does not fit {type}")
ENCODE_NO_VALUE = error("VEN-MOD-023", '{value:g} is the mark for "no value" of this device')
ENCODE_BOOL = error("VEN-MOD-024", "{value:g} is neither 0 nor 1")
ENCODE_MASK = error("VEN-MOD-025", "{value:g} does not fit the bits of the mask")

# Options

COMPUTED_PART = error("VEN-MOD-030", "computed {quantity}: there is no {part} before it")
ALL_HIDDEN = error("VEN-MOD-031", "every quantity is hidden: there is nothing to read")
TOO_MANY_REGISTERS = error(
    "VEN-MOD-032", "{quantity} takes {count} registers{with_factor}: max_registers allows {limit}"
)
FORBIDDEN = error(
    "VEN-MOD-033",
    "{quantity}{with_factor} cannot be read without a forbidden address ({kind} {first}..{last})",
)
WITH_SCALE_REGISTER = info("VEN-MOD-034", " together with its scale_register")
MIN_MAX = error("VEN-MOD-035", "min ({min:g}) must not be above max ({max:g})")
WRITE_KIND = error("VEN-MOD-036", "{kind} registers cannot be written: use holding or coil")
WRITE_SINGLE = error("VEN-MOD-037", "function single writes one register, but {type} takes {words}")
WRITE_STRING = error("VEN-MOD-038", "a setpoint is a number: type string cannot be written")
QUANTITY_TWICE = error("VEN-MOD-039", "{quantity} is listed twice: remove or rename one of them")
ABSOLUTE_OF_ONE = error("VEN-MOD-040", "computed {quantity}: absolute takes one quantity, not {count}")
QUOTIENT_OF_TWO = error("VEN-MOD-041", "computed {quantity}: quotient takes two quantities or more")

# Templates

NO_TEMPLATE = error("VEN-MOD-050", "unknown template {name}; {suggestion}")
TEMPLATE_FILE = error("VEN-MOD-051", "the file {name}.yaml describes {found}")
LIST_TEMPLATES = info("VEN-MOD-052", "`ven templates list` shows all")
TEMPLATE_NAME = error("VEN-MOD-053", "options.template: expected the name of a template, got {value}")
PARAMETERS_FORM = error("VEN-MOD-055", "options.parameters: expected an object, got {value}")
LIST_FORM = error("VEN-MOD-056", "options.{key}: expected a list of objects, got {value}")
PARAMETER_UNKNOWN = error("VEN-MOD-057", "{place}: unknown parameter for {template}; {suggestion}")
PARAMETER_VALUE = error("VEN-MOD-058", "expected {allowed} (given: {value})")
ALLOWED_CHOICES = info("VEN-MOD-059", "one of {choices}")
ALLOWED_FLAG = info("VEN-MOD-060", "true or false")
ALLOWED_RANGE = info("VEN-MOD-061", "{low} to {high}")
ALLOWED_TEXT = info("VEN-MOD-062", "a text")
REVERSED = info("VEN-MOD-063", "counts the other way round: import and export change sides")
NOT_WRITABLE = error(
    "VEN-MOD-064",
    "options.template: {template}{usage} has no writable registers; those that have: {known}",
)

# SunSpec

NO_SUNSPEC = error(
    "VEN-MOD-070",
    "no SunSpec map found at {bases}",
    hint="enable SunSpec in the device, check the unit id, or use the template of the device",
)
CHAIN_REGISTER = warning("VEN-MOD-071", "the model list ends at {address}, where the device has no register")
CHAIN_LENGTH = warning("VEN-MOD-072", "the model list is broken: model {model} at {address} has length 0")
CHAIN_ENDLESS = warning("VEN-MOD-073", "the model list does not end after {limit} models")
CHAIN_END = warning(
    "VEN-MOD-074", "the model list is broken: model {model} at {address} ends after the last register"
)
NO_MODEL = error(
    "VEN-MOD-075",
    "the device has no SunSpec model {model}{number} (it has {chain})",
    hint="choose a model that it has, or read another unit: a meter often has its own unit id",
)
MODEL_INVALID = error(
    "VEN-MOD-076",
    "SunSpec model {model} at {address} cannot be used ({error})",
    hint="the SunSpec map of this device is broken: use the template of the device",
)
SUNSPEC_FOUND = info("VEN-MOD-077", "{subject}: SunSpec {chain}")
SUNSPEC_BROKEN = warning("VEN-MOD-078", "{subject}: SunSpec {chain}")
SUNSPEC_OPTIONS = error(
    "VEN-MOD-079",
    "the registers of the device do not fit the options: {error}",
    hint="change max_registers, forbidden or the registers of the connection",
)

# Exceptions of a device

EXCEPTION = error("VEN-MOD-090", "exception {exception} ({meaning}) for {place}", hint="{advice}")
EXCEPTION_1 = error(
    "VEN-MOD-091", "illegal function", hint="try the other kind of register, holding or input"
)
EXCEPTION_2 = error(
    "VEN-MOD-092", "illegal data address", hint="check address (zero-based) and kind, or lower max_gap"
)
EXCEPTION_3 = error(
    "VEN-MOD-093",
    "illegal data value",
    hint="lower max_registers: the device does not return this number of registers at once",
)
EXCEPTION_4 = error(
    "VEN-MOD-094",
    "device failure",
    hint="check the unit id (`ven connections scan {scan}` lists the units that answer), then the device for "
    "faults",
)
EXCEPTION_5 = error(
    "VEN-MOD-095", "acknowledge, still working", hint="the device needs longer: read it less often"
)
EXCEPTION_6 = error("VEN-MOD-096", "device busy", hint="read it less often")
EXCEPTION_8 = error("VEN-MOD-097", "memory parity error", hint="check the device: its memory is damaged")
EXCEPTION_10 = error(
    "VEN-MOD-098",
    "gateway path unavailable",
    hint="check the unit id (`ven connections scan {scan}` lists the units that answer), and the serial line "
    "settings of the gateway",
)
EXCEPTION_11 = error(
    "VEN-MOD-099",
    "no answer from the unit behind the gateway",
    hint="check the unit id (`ven connections scan {scan}` lists the units that answer), its wiring and baud "
    "rate",
)
EXCEPTION_OTHER = error("VEN-MOD-100", "not in the standard", hint="see the manual of the device")
WRITE_EXCEPTION_1 = error(
    "VEN-MOD-101", "illegal function", hint="try the other write function, single or multiple"
)
WRITE_EXCEPTION_2 = error(
    "VEN-MOD-102",
    "illegal data address",
    hint="check address (zero-based); the register may be read-only, or locked until remote control is on",
)
WRITE_EXCEPTION_3 = error(
    "VEN-MOD-103",
    "illegal data value",
    hint="the device does not accept this value: check type, scale and its limits",
)

# The link

CANNOT_CONNECT = error(
    "VEN-MOD-110",
    "cannot connect",
    hint="check host and port, that the device is on, and that no other program uses its connection",
)
HOST_UNKNOWN = error("VEN-MOD-111", "cannot connect: unknown host name {host}")
REFUSED = error("VEN-MOD-112", "cannot connect: connection refused, no server listens on this port")
CONNECT_SILENT = error("VEN-MOD-113", "cannot connect: no answer within {limit_s:g} s")
UNEXPECTED_BYTES = error("VEN-MOD-114", "cannot connect: the device hung up, or sent data before any request")
CONNECT_FAILED = error("VEN-MOD-115", "cannot connect: {error}")
RETRY_LATER = info("VEN-MOD-116", " (next attempt in {wait_s} s)")
CLOSED = error("VEN-MOD-117", "the connection was closed by this program")
NO_TRANSACTION = error(
    "VEN-MOD-118",
    "the answer has transaction id 0 instead of that of the request",
    hint='set the option "transaction_ids": "ignore", or update the firmware of the device or its gateway',
)
WRONG_ANSWER = error(
    "VEN-MOD-119",
    "received {count:register|registers} by function {function} for {place}",
    hint="lower max_registers, or check that this is a Modbus TCP device",
)
NOT_MODBUS = error(
    "VEN-MOD-120",
    "received bytes that are not Modbus {framing} ({data} ...)",
    hint="check that the port speaks Modbus TCP, or set framer to tcp or rtu as the device uses it",
)
HUNG_UP = error(
    "VEN-MOD-121",
    "the device closed the connection during a request",
    hint="check that it allows another connection, and that it has this unit id "
    "(`ven connections scan {scan}` lists the units that answer)",
)
SILENT = error(
    "VEN-MOD-122",
    "no answer within {limit_s:g} s",
    hint="check the unit id (`ven connections scan {scan}` lists the units that answer) and wiring, or raise "
    "timeout_s",
)
OTHER_UNIT = error(
    "VEN-MOD-123",
    "no answer within {limit_s:g} s, but one from unit {unit}",
    hint="check the unit id (`ven connections scan {scan}` lists the units that answer) and wiring, or raise "
    "timeout_s",
)
PARTIAL = error(
    "VEN-MOD-124",
    "received only part of an answer within {limit_s:g} s",
    hint="check the unit id (`ven connections scan {scan}` lists the units that answer) and wiring, or raise "
    "timeout_s",
)

OTHER_TRANSACTION = error(
    "VEN-MOD-125",
    "no answer within {limit_s:g} s, but one with transaction id {transaction} instead of the request's",
    hint='set the option "transaction_ids": "ignore" if the gateway always answers so, or raise timeout_s if '
    "it is late",
)

# Setpoints

NOT_WRITTEN = error("VEN-MOD-130", "{quantity} = {value:g} was not written: {reason}", hint="{advice}")
NO_REGISTER = error(
    "VEN-MOD-131", "no register for this quantity", hint="the options have registers for {known}"
)
OUTSIDE = error(
    "VEN-MOD-132",
    "it is outside of {low:g} to {high:g}",
    hint="see min and max of the register",
)
NOT_ENCODED = error("VEN-MOD-133", "{problem}", hint="check type and scale of the register")
READ_BACK = warning("VEN-MOD-134", "wrote {written:g}, but the device reports {read_back:g}")
READ_BACK_NONE = warning("VEN-MOD-135", "wrote {written:g}, but the device reports no value")
SCALE_FACTOR = error(
    "VEN-MOD-136",
    "invalid scale factor {exponent} in register {address}",
    hint="check scale_register; a device that does not implement it has 0x8000 there",
)
NO_WRITER = error(
    "VEN-MOD-137",
    "no connection to write to",
    hint="add a connection of actor type WRITER; {page} describes its options",
)

# Survey

UNIT_ANSWERS = info("VEN-MOD-150", "unit {unit} answers: set unit to {unit}, or see `ven connections scan`")
NO_UNIT_ANSWERS = info("VEN-MOD-151", "no other usual unit id answers: run `ven connections scan` to try all")
KIND_ANSWERS = info("VEN-MOD-152", 'kind "{kind}" answers at this address')
ADDRESS_ANSWERS = info("VEN-MOD-153", 'address {address} with kind "{kind}" answers')
ORDER_GIVES = info("VEN-MOD-154", "{found}: {changes} would give {value:g}")
FOUND_NONE = info("VEN-MOD-155", "no value")
FOUND_UNLIKELY = info("VEN-MOD-156", "an unlikely value")
CALLS_ITSELF = info("VEN-MOD-157", 'it identifies as "{text}"')
REGISTER_TEXT = info("VEN-MOD-158", '{place} contains "{text}"')
REGISTER_NUMBER = info("VEN-MOD-159", "{place} is {number}")
IGNORE_IDS = info(
    "VEN-MOD-160",
    'it answers with the option "transaction_ids": "ignore": set it for all units at this endpoint',
)
ANSWERS_IGNORING = info("VEN-MOD-161", 'answers, with "transaction_ids": "ignore"')
