"""What is wrong with values that were read once, without a gateway, by the rules of the gateway."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from venclient.intake import window_of
from venclient.messages import Text
from venclient.model.quality import meter_rules, quantity_rules
from venclient.model.reading import Reading
from venclient.model.resource import Resource
from venclient.readings.judging import Judge


def doubts_of(resource: Resource, newest: Iterable[Reading], now: datetime) -> list[Text]:
    """Return a message for each impossible value or time; each starts with the endpoint."""
    try:
        rules, meter = quantity_rules(resource.connection.options), meter_rules(resource)
    except ValueError:
        return []  # its connection is reported as wrong elsewhere
    judge = Judge(resource.connection.endpoint, rules, meter, window=window_of(resource.connection))
    return list(judge.judge(list(newest), now).said)
