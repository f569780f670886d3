"""The struct that message deltas are decoded into, straight from their bytes."""

import msgspec
import pytest

from aiodashassist.core.models import Content, Text
from aiodashassist.providers.dashscope.wire import WireDelta, WireMessageDelta

DECODER = msgspec.json.Decoder(WireMessageDelta)
HI = Content(text=Text(value="hi"))


@pytest.mark.parametrize(
    ("delta", "read"),
    [
        (b"{}", WireDelta()),
        (b'{"content":null,"role":null}', WireDelta()),
        (b'{"content":[],"role":"assistant","file_ids":[]}', WireDelta([])),
        (b'{"content":[{"type":"text","text":{"value":"hi"}}]}', WireDelta([HI])),
        (b'{"content":{"type":"text","text":{"value":"hi"}}}', WireDelta(HI)),
    ],
)
def test_the_usual_deltas_are_read_at_once(delta: bytes, read: WireDelta) -> None:
    """A list, a single object or null; fields that nobody uses are passed over (§5.4, §7.3)."""
    body = b'{"id":"m","object":"thread.message.delta","delta":%b,"request_id":"r"}' % delta

    assert DECODER.decode(body) == WireMessageDelta("m", read)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"id":"m"}', b'{"id":"m","delta":null}', b'{"id":5,"delta":{}}']
)
def test_an_odd_delta_is_left_to_the_slow_reading(body: bytes) -> None:
    """What does not fit is refused here; `frames.py` reads it field by field."""
    with pytest.raises(msgspec.ValidationError):
        DECODER.decode(body)
