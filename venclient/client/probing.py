"""Finding out which version a VTN speaks, in as few questions as that takes."""

from __future__ import annotations

from venclient.client.conversation import Conversation
from venclient.client.dialect import V3_0_1, V3_1, Dialect, told_by_path, told_by_shape
from venclient.errors import AuthRefused, VtnError, VtnProblem


async def find_dialect(talk: Conversation) -> Dialect:
    """Return the version of a VTN; errors of a VTN that is away or refuses pass through.

    Asked in this order: what the address says; GET /auth/server, which came with 3.1; GET /resources,
    which 3.0.1 has below each VEN only; the shapes of programs and events, of which one may be refused.
    3.1 when all are silent.
    """
    dialect = told_by_path(talk.account.url)
    if dialect is not None:
        return dialect
    if await talk.tells_token_service():
        return V3_1
    lacks_resources = False
    try:
        answer = await talk.call("GET", "resources", params=[("limit", "1")], optional=True)
    except AuthRefused:
        pass  # gateways refuse unknown paths so, too
    except VtnProblem as problem:
        if problem.transient:
            raise
        lacks_resources = problem.status in (404, 405)
    else:
        if answer.body.lstrip().startswith(b"["):
            return V3_1
    refused: VtnError | None = None
    read = 0
    for collection in ("programs", "events"):
        try:
            answer = await talk.call("GET", collection, params=[("limit", "50")])
        except VtnError as error:
            if not error.answered:
                raise
            refused = error
            continue
        read += 1
        dialect = told_by_shape(answer.body)
        if dialect is not None:
            return dialect
    if refused is not None and not read:
        raise refused
    return V3_0_1 if lacks_resources else V3_1
