"""Files that stay and are no good images any more: emptied, filled with zeros, half written, replaced by a placeholder.

Copies that broke off, cloud clients that free space, repositories that keep large files elsewhere. What was there may
come back, or another image take its place.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.filesystem import Node
from tests.simulation.oracle import PNG, TIFF

if TYPE_CHECKING:
    from tests.simulation.machine import Store
    from tests.simulation.users import Users

POINTERS = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    b"/annex/objects/MD5E-s1--0.png\n",
)


def empty(users: "Users", store: "Store", draw: random.Random) -> str:
    return _spoil(users, store, draw, lambda _: b"")


def zero(users: "Users", store: "Store", draw: random.Random) -> str:
    return _spoil(users, store, draw, lambda old: bytes(len(old)))


def half(users: "Users", store: "Store", draw: random.Random) -> str:
    """Half of a copy over the old name: too short for its signature, or cut off behind it."""
    return _spoil(users, store, draw, lambda old: old[:5] if draw.random() < 0.5 else PNG + b"broken")


def pointer(users: "Users", store: "Store", draw: random.Random) -> str:
    return _spoil(users, store, draw, lambda _: draw.choice(POINTERS))


def placeholder(users: "Users", store: "Store", draw: random.Random) -> str:
    """The cloud client has moved the file away and left ``.name.icloud``."""
    path = users.any_file(store, draw)
    if not path:
        return ""
    users.away[store.name][path] = users.take(store, path)
    node = Node(store.machine.volume, b"bplist00")
    node.synced = node.data
    users.put(store, placeholder_of(path), node)
    return path


def come_back(users: "Users", store: "Store", draw: random.Random) -> str:
    """One of the files is what it was."""
    away = users.away[store.name]
    if not away:
        return ""
    path = draw.choice(sorted(away))
    node = away.pop(path)
    if store.shown(placeholder_of(path)) is not None:
        users.take(store, placeholder_of(path))
    users.put(store, path, node)
    return path


def new_image(users: "Users", store: "Store", draw: random.Random) -> str:
    """The copy is complete: another image is under the name."""
    away = sorted(path for path in users.away[store.name] if store.shown(path) is not None)
    if not away:
        return ""
    path = draw.choice(away)
    del users.away[store.name][path]
    users.write(store, path, draw.randrange(20, 24))
    return path


def placeholder_of(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}.icloud"


def _spoil(users: "Users", store: "Store", draw: random.Random, make: Callable[[bytes], bytes]) -> str:
    path = users.any_file(store, draw)
    node = store.shown(path) if path else None
    if node is None or not node.data.startswith((PNG, TIFF)):
        return ""
    good = Node(store.machine.volume, node.data)
    good.synced = good.data
    users.away[store.name][path] = good
    data = make(node.data)
    node.data, node.hash, node.synced, node.epoch = data, None, data, users.world.epoch
    node.mtime = node.ctime = store.machine.volume.now()
    return path
