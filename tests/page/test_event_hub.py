"""What the streams of events begin and end with."""

import asyncio

from astica_sync.page.live.event_hub import EventHub


def test_nothing_follows_the_event_that_the_page_closes() -> None:
    """A thread may have published a state just before, which the loop comes to afterwards."""

    async def read() -> list[str]:
        hub = EventHub()
        stream = hub.read({"store": dict})
        shown = [await anext(stream)]
        hub.publish_soon("store", dict)
        hub.close()
        await asyncio.sleep(0)
        return shown + [text async for text in stream]

    texts = asyncio.run(read())
    assert [text.partition("\n")[0] for text in texts] == ["event: store", "event: closing"]
