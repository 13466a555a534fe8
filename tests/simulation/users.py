"""What people and accidents do to a store, to its hidden folder, and to the model on the vendor's page."""

import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from astica_sync.core.model import UID_LENGTH, complete_uid
from astica_sync.core.owned_classes import OwnedClasses
from tests.simulation import damage
from tests.simulation.filesystem import DEVICE, Node
from tests.simulation.oracle import PNG, TIFF
from tests.simulation.service import MODEL
from tests.simulation.vocabulary import RECIPES
from tests.simulation.watch import faces, notify_listeners
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.machine import Store
    from tests.simulation.script import Script
    from tests.simulation.service import Sample

IMAGES = 9


class Users:
    """Everybody who acts in one walk."""

    def __init__(self, world: World, script: "Script") -> None:
        self.world = world
        self.script = script
        self.copies: dict[str, sqlite3.Connection] = {}
        self.deleted: dict[str, tuple[str, Node | None]] = {}
        self.away: dict[str, dict[str, Node]] = defaultdict(dict)
        """The files that damage has befallen, by store and path, as they were."""

    def act(self, kind: str, store: "Store", draw: random.Random) -> None:
        """Does one thing; nothing where there is nothing to do it to."""
        self.world.begin_change()
        before = faces(store) if store.listeners else None
        done = _ACTIONS[kind](self, store, draw)
        if before is not None and store.mounted:
            notify_listeners(store, before)
        if done:
            self.world.tell(lambda: f"{store.name}: {kind}: {done}")

    # The files.

    def add(self, store: "Store", draw: random.Random) -> str:
        path = self._free_path(store, draw)
        self.write(store, path, self._image(store, draw))
        return path

    def edit(self, store: "Store", draw: random.Random) -> str:
        path = self.any_file(store, draw)
        if not path:
            return ""
        node = store.shown(path)
        old = node.data if node else b""
        in_place = draw.random() < 0.6
        data = self._image(store, draw)
        if in_place and len(data) != len(old):
            data = data[: len(old)].ljust(len(old), b"=")
        if node is not None and in_place:
            node.data, node.hash, node.epoch, node.synced = data, None, self.world.epoch, data
            node.ctime = store.machine.volume.now()
            if draw.random() < 0.5:
                node.mtime = node.ctime
        else:
            self.write(store, path, data)
        return f"{path}{' in place' if in_place else ''}"

    def delete(self, store: "Store", draw: random.Random) -> str:
        path = self.any_file(store, draw)
        if path:
            self.deleted[store.name] = path, self.take(store, path)
        return path

    def put_back(self, store: "Store", draw: random.Random) -> str:
        """What was deleted last is there again."""
        path, node = self.deleted.pop(store.name, ("", None))
        if node is None or store.shown(path) is not None:
            return ""
        self.put(store, path, node)
        return path

    def move(self, store: "Store", draw: random.Random) -> str:
        path = self.any_file(store, draw)
        if not path:
            return ""
        target = self._free_path(store, draw, other_than=path.partition("/")[0])
        self.put(store, target, self.take(store, path))
        return f"{path} to {target}"

    def rename(self, store: "Store", draw: random.Random) -> str:
        path = self.any_file(store, draw)
        if not path:
            return ""
        target = f"{path.partition('/')[0]}/{draw.choice(('', 'deep/'))}r{draw.randrange(100)}.png"
        if store.shown(target) is None:
            self.put(store, target, self.take(store, path))
        return f"{path} to {target}"

    def rename_class(self, store: "Store", draw: random.Random) -> str:
        title, other = draw.choice(self.script.titles), draw.choice(self.script.titles)
        if store.shown(title) is None or store.shown(other) is not None:
            return ""
        self.put(store, other, self.take(store, title))
        return f"{title} to {other}"

    def delete_class(self, store: "Store", draw: random.Random) -> str:
        title = draw.choice(self.script.titles)
        if store.shown(title) is None:
            return ""
        self.take(store, title)
        return title

    def copy(self, store: "Store", draw: random.Random) -> str:
        path = self.any_file(store, draw)
        node = store.shown(path) if path else None
        if node is None:
            return ""
        target = self._free_path(store, draw)
        self.write(store, target, node.data)
        return f"{path} to {target}"

    # What hides files.

    def unmount(self, store: "Store", draw: random.Random) -> str:
        if not store.mounted:
            return ""
        store.mounted = False
        self._stand_in(store, Node(store.machine.volume, None))
        return "the store's disk"

    def replace(self, store: "Store", draw: random.Random) -> str:
        """Another folder stands where the store was: a copy of it, without its classes. Where inodes mean nothing, a
        copy at the same path cannot be distinguished from the store."""
        if not store.mounted or not store.machine.volume.keeps_inodes:
            return ""
        store.mounted = False
        other = Node(store.machine.volume, None)
        other.entries[".astica-sync"] = other.durable[".astica-sync"] = store.tree.entries[".astica-sync"]
        self._stand_in(store, other)
        return "another folder in its place"

    def lock_folder(self, store: "Store", draw: random.Random) -> str:
        node = store.shown(draw.choice(self.script.titles))
        if node is None:
            return ""
        node.locked = True
        node.ctime = store.machine.volume.now()
        return "a class folder cannot be read"

    def lock_and_forget(self, store: "Store", draw: random.Random) -> str:
        """A class folder cannot be read, and no index knows what was in it."""
        if _busy(store):
            return ""
        store.databases.restore(store.index_name)
        return self.lock_folder(store, draw)

    def refill_class(self, store: "Store", draw: random.Random) -> str:
        """Everything in a class is replaced by something else."""
        title = self.delete_class(store, draw)
        if title:
            self.write(store, f"{title}/other.png", draw.randrange(IMAGES))
        return title

    def lock_file(self, store: "Store", draw: random.Random) -> str:
        path = self.any_file(store, draw)
        node = store.shown(path) if path else None
        if node is None:
            return ""
        node.locked = True
        node.ctime = store.machine.volume.now()
        return path

    def repair(self, store: "Store", draw: random.Random) -> str:
        """Everything can be seen again."""
        if not store.mounted:
            store.machine.volume.mount_again(store.tree)
        store.mounted = True
        self._stand_in(store, store.tree)
        _unlock(store.tree, store.machine.volume.now())
        return "all is readable"

    # The hidden folder.

    def keep_index(self, store: "Store", draw: random.Random) -> str:
        self.copies[store.name] = store.databases.copy(store.index_name)
        return "a copy of the index"

    def restore_index(self, store: "Store", draw: random.Random) -> str:
        if store.name not in self.copies or _busy(store):
            return ""
        store.databases.restore(store.index_name, self.copies[store.name])
        return "an old index is back"

    def delete_index(self, store: "Store", draw: random.Random) -> str:
        if _busy(store):
            return ""
        store.databases.restore(store.index_name)
        return "index"

    def delete_journal(self, store: "Store", draw: random.Random) -> str:
        if _busy(store):
            return ""
        store.databases.restore(store.journal_name)
        store.oracle.journal_lost(store)
        return "journal"

    def lose_state(self, store: "Store", draw: random.Random) -> str:
        """The hidden folder is deleted; the store is made one again."""
        if _busy(store):
            return ""
        store.databases.restore(store.index_name)
        store.databases.restore(store.journal_name)
        store.tree.entries[".astica-sync"].entries.pop("backup", None)
        store.tree.entries[".astica-sync"].durable.pop("backup", None)
        store.oracle.journal_lost(store)
        store.oracle.backup_lost(store)
        return "journal, index and backup"

    def rot(self, store: "Store", draw: random.Random) -> str:
        found = self._any_object(store, draw)
        if found is None:
            return ""
        _, name, node = found
        at = draw.randrange(len(node.data))
        node.data = node.data[:at] + bytes([node.data[at] ^ 1]) + node.data[at + 1 :]
        node.synced, node.hash = node.data, None
        self._damaged(store, name)
        return f"object {name[:6]}"

    def drop_object(self, store: "Store", draw: random.Random) -> str:
        found = self._any_object(store, draw)
        if found is None:
            return ""
        folder, name, _ = found
        del folder.entries[name]
        folder.durable.pop(name, None)
        self._damaged(store, name)
        return f"object {name[:6]}"

    # The vendor's page.

    def web_add(self, store: "Store", draw: random.Random) -> str:
        title = draw.choice(self.script.titles)
        store.service.add(title, draw.choice(("", "mine", f"web{draw.randrange(9)}")), "web", size=0.25)
        return title

    def web_remove(self, store: "Store", draw: random.Random) -> str:
        samples = store.service.samples()
        if not samples:
            return ""
        sample = draw.choice(samples)[1]
        store.service.remove(sample.sample_id)
        return f"sample {sample.sample_id}"

    def web_class(self, store: "Store", draw: random.Random) -> str:
        """A class, perhaps a second one with a title that is there."""
        entry = store.service.add_class(draw.choice(self.script.titles))
        return f"class {entry.class_id} {entry.title}"

    def web_remove_class(self, store: "Store", draw: random.Random) -> str:
        if not store.service.classes:
            return ""
        entry = draw.choice(store.service.classes)
        store.service.remove_class(entry.class_id)
        return f"class {entry.class_id} {entry.title}"

    def change_recipe(self, store: "Store", draw: random.Random) -> str:
        """The settings say how images are converted from now on."""
        store.recipe = draw.choice([recipe for recipe in RECIPES if recipe != store.recipe])
        store.settings += 1
        return store.recipe.identity or "the default one"

    def change_owns(self, store: "Store", draw: random.Random) -> str:
        """The settings say which classes the store manages from now on."""
        titles = self.script.titles
        store.owned = OwnedClasses(tuple(draw.sample(titles, draw.randint(0, len(titles) - 1))))
        store.settings += 1
        return ", ".join(store.owned.titles) or "all classes"

    def web_twin(self, store: "Store", draw: random.Random) -> str:
        """A second sample under a uid that is there, where the service allows that."""
        samples = store.service.samples()
        if not samples or store.service.switches.repeated_uids != "allow":
            return ""
        entry, sample = draw.choice(samples)
        twin = self._add_copy(store, entry.title, sample)
        return f"sample {twin.sample_id}, as {sample.sample_id}"

    def web_misplace(self, store: "Store", draw: random.Random) -> str:
        """A sample is put into another class."""
        samples = store.service.samples()
        if not samples or store.service.switches.repeated_uids == "refuse":
            return ""
        entry, sample = draw.choice(samples)
        uid = complete_uid(sample.uid, MODEL, entry.title)
        if len(uid) == 41 and len(sample.uid) != 41:
            # Where uids are cut, the class is part of what tells them apart.
            return ""
        store.service.remove(sample.sample_id)
        self._add_copy(store, draw.choice(self.script.titles), sample)
        return f"sample {sample.sample_id}"

    def web_forge(self, store: "Store", draw: random.Random) -> str:
        """A sample with the uid of one of our images, which can be computed, and with other bytes."""
        switches = store.service.switches
        path = self.any_file(store, draw)
        node = store.shown(path) if path else None
        if node is None or not node.data.startswith((PNG, TIFF)) or switches.repeated_uids != "allow":
            return ""
        if switches.uid_length < UID_LENGTH or not store.service.sizes:
            return ""
        title = path.partition("/")[0]
        uid = store.oracle.uid_of(title, node.content(), store.recipe)
        sample = store.service.add(title, uid, "web", size=draw.choice((0.5, 3.0)), forged=True)
        return f"sample {sample.sample_id} with the uid of {path}"

    # Helpers of the above.

    def _add_copy(self, store: "Store", title: str, sample: "Sample") -> "Sample":
        return store.service.add(title, sample.uid, sample.origin, late=True, size=sample.size, forged=sample.forged)

    def _image(self, store: "Store", draw: random.Random) -> bytes:
        number = draw.randrange(IMAGES)
        if draw.random() < 0.04:
            return draw.choice((PNG + b"broken", b"no image at all", b""))
        return _begin(number) + f"{self._owner(store, number)}{number}".encode() + b"=" * (number % 2)

    def _owner(self, store: "Store", number: int) -> str:
        """Whose image it is; where the stores share some, each has half of them for itself."""
        return "" if "shared images" in self.script.words and number % 2 == 0 else store.name

    def any_file(self, store: "Store", draw: random.Random) -> str:
        paths = sorted(_paths(store.tree, ""))
        return draw.choice(paths) if paths else ""

    def _free_path(self, store: "Store", draw: random.Random, other_than: str = "") -> str:
        titles = [title for title in self.script.titles if title != other_than]
        title = draw.choice(titles)
        while True:
            path = f"{title}/{draw.choice(('', '', 'deep/'))}{draw.randrange(100)}.png"
            if store.shown(path) is None:
                return path

    def write_seen(self, store: "Store", path: str, image: int) -> None:
        """A new file whose folder the system reports at once, before its end is reported."""
        self.world.begin_change()
        self.write(store, path, image)
        self.world.tell(lambda: f"{store.name}: {path} is being written")
        for listener in list(store.listeners):
            listener.notify({path.rpartition("/")[0]}, set(), set())

    def write(self, store: "Store", path: str, image: bytes | int) -> None:
        """A new file; an image may be named by its number alone."""
        data = _begin(image) + f"{self._owner(store, image)}{image}".encode() if isinstance(image, int) else image
        node = Node(store.machine.volume, data)
        node.synced = data
        self.put(store, path, node)

    def put(self, store: "Store", path: str, node: Node) -> None:
        volume = store.machine.volume
        folder = store.tree
        *above, name = path.split("/")
        for part in above:
            below = folder.entries.get(part)
            if below is None:
                below = Node(volume, None)
                volume.place(folder, part, below)
            folder = below
        node.ctime = volume.now()
        volume.place(folder, name, node)

    def take(self, store: "Store", path: str) -> Node:
        above, _, name = path.rpartition("/")
        folder = store.shown(above) if above else store.tree
        assert folder is not None
        folder.mtime = folder.ctime = store.machine.volume.now()
        folder.durable.pop(name, None)
        return folder.entries.pop(name)

    def _any_object(self, store: "Store", draw: random.Random) -> tuple[Node, str, Node] | None:
        objects = store.shown(".astica-sync/backup/objects")
        found = [
            (folder, name, node)
            for folder in (objects.entries.values() if objects else ())
            for name, node in folder.entries.items()
            if not name.startswith(".") and node.data
        ]
        return draw.choice(sorted(found, key=lambda entry: entry[1])) if found else None

    def _damaged(self, store: "Store", name: str) -> None:
        store.oracle.book(store).damaged[name.partition(".")[0]] = self.world.time

    def _stand_in(self, store: "Store", node: Node) -> None:
        above, _, name = store.root.rpartition("/")
        parent = store.machine.volume.find(above, looking=False)
        node.device = DEVICE
        parent.entries[name] = parent.durable[name] = node


def _busy(store: "Store") -> bool:
    return any(not run.gone for run in store.live)


def _begin(number: int) -> bytes:
    """Some images are of a format that is converted before it is sent."""
    return TIFF if number % 5 == 3 else PNG


def _unlock(node: Node, now: int) -> None:
    if node.locked:
        node.locked = False
        node.ctime = now
    for below in node.entries.values():
        _unlock(below, now)


def _paths(folder: Node, prefix: str) -> list[str]:
    found = []
    for name, node in folder.entries.items():
        if name.startswith("."):
            continue
        if node.is_folder:
            found += _paths(node, f"{prefix}{name}/")
        else:
            found.append(prefix + name)
    return found


_ACTIONS: dict[str, Callable[[Users, "Store", random.Random], str]] = {
    name.replace("_", " "): getattr(Users, name)
    for name in (
        "add", "edit", "delete", "put_back", "move", "rename", "rename_class", "delete_class", "copy", "unmount",
        "replace", "lock_folder", "lock_and_forget", "refill_class", "lock_file",
        "repair", "keep_index", "restore_index", "delete_index", "delete_journal",
        "lose_state", "rot", "drop_object", "web_add", "web_remove", "web_class", "web_remove_class", "web_twin",
        "web_misplace", "web_forge", "change_recipe", "change_owns",
    )
} | {
    name.replace("_", " "): getattr(damage, name)
    for name in ("empty", "zero", "half", "pointer", "placeholder", "come_back", "new_image")
}  # fmt: skip
USER_ACTIONS = frozenset(_ACTIONS)
