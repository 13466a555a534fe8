"""A store from elsewhere may own titles of any length: what is printed of them is bounded."""

from pathlib import Path

from astica_sync.cli.render.several_stores.owned_classes import named, not_sent_lines, unknown_titles_lines
from astica_sync.core.owned_classes import OwnedClasses
from tests.harness.shell import Shell


def test_long_titles_are_shown_by_their_beginning() -> None:
    titles = tuple(f"{letter}{sign * 900_000}" for letter, sign in zip("abcdefg", "xé\x1bxxxx", strict=True))
    owned = OwnedClasses(titles)
    [not_sent] = not_sent_lines({"y" * 900_000: 2, "Box": 1}, owned)
    [unknown] = unknown_titles_lines(owned, ["Box"])
    assert max(map(len, (not_sent, unknown, named(titles)))) < 600
    assert f"{'y' * 59}…" in not_sent and " and 2 more" in not_sent
    assert named(["Can", "Bottle"]) == "Can, Bottle"


def test_doctor_shows_the_first_of_many_titles(shell: Shell, store: Path) -> None:
    (store / "astica-sync.toml").write_text(f"owns = {['Can', 'x' * 9_000, *map(str, range(9_000))]}\n")
    for ran in (shell("doctor", "--store", store), shell("doctor", "--json", "--store", store)):
        assert "Can, xxx" in ran.out and " and 8,992 more (" in ran.out and len(ran.out) < 20_000
