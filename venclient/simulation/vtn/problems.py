"""How this VTN says no: one exception that becomes a problem document."""

from __future__ import annotations

from http import HTTPStatus


class Refusal(Exception):
    """A request is refused with this HTTP status; `detail` says which rule it broke."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def problem(status: int, detail: str) -> dict[str, object]:
    """Return the body of an error answer, as the `problem` schema of the standard has it."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    return {"type": "about:blank", "title": title, "status": status, "detail": detail}
