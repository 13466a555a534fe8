"""Hands events to all streams that are open. Of several states of one thing a slow reader gets the last."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

HEARTBEAT_SECONDS = 15.0
_PAUSE = 0.25
"""Seconds between two rounds of events: four a second."""


class EventHub:
    """For the thread of the event loop, apart from ``publish_soon``."""

    def __init__(self) -> None:
        self._streams: set[_Stream] = set()
        self._closed = False
        self._loop = asyncio.get_running_loop()

    @property
    def has_readers(self) -> bool:
        return bool(self._streams)

    def publish(self, name: str, data: Callable[[], Any]) -> None:
        """Something has a new state; ``data`` is called when it is sent. After ``close`` nothing is."""
        if self._closed:
            return
        for stream in self._streams:
            stream.add(name, data)

    def publish_soon(self, name: str, data: Callable[[], Any]) -> None:
        """As ``publish``, from any thread."""
        if not self._closed:
            self._loop.call_soon_threadsafe(self.publish, name, data)

    def close(self) -> None:
        """Ends all streams, after an event that says so."""
        self.publish("closing", dict)
        self._closed = True
        for stream in self._streams:
            stream.end()

    async def read(self, first: dict[str, Callable[[], Any]]) -> AsyncIterator[str]:
        """The stream of one reader in the form of server-sent events, ``first`` what it begins with."""
        stream = _Stream()
        for name, data in first.items():
            stream.add(name, data)
        if self._closed:
            return
        self._streams.add(stream)
        try:
            while True:
                async for text in stream.take():
                    yield text
                if stream.ended:
                    return
                await asyncio.sleep(_PAUSE)
        finally:
            self._streams.discard(stream)


class _Stream:
    def __init__(self) -> None:
        self._waiting: dict[str, Callable[[], Any]] = {}
        self._changed = asyncio.Event()
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the reader has everything, and nothing more comes."""
        return self._ended and not self._waiting

    def add(self, name: str, data: Callable[[], Any]) -> None:
        self._waiting[name] = data
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def take(self) -> AsyncIterator[str]:
        """What is waiting, or a comment that keeps the connection open."""
        try:
            await asyncio.wait_for(self._changed.wait(), HEARTBEAT_SECONDS)
        except TimeoutError:
            yield ": still here\n\n"
            return
        self._changed.clear()
        waiting, self._waiting = self._waiting, {}
        for name, data in waiting.items():
            yield f"event: {name}\ndata: {json.dumps(data())}\n\n"
