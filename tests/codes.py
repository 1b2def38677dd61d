"""Expectations of errors by the code of their message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from venclient.messages import code_of, text_of

E = TypeVar("E", bound=BaseException)


@contextmanager
def raises_code(kind: type[E], code: str) -> Iterator[pytest.ExceptionInfo[E]]:
    """Expect an error of `kind` whose message has `code`, also where `str()` of the error shows none."""
    with pytest.raises(kind) as caught:
        yield caught
    assert code_of(text_of(caught.value)) == code, caught.value
