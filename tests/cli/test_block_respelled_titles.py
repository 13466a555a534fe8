"""A service that spells class titles in its own way: pushes come to an end, and say what to do."""

from pathlib import Path

import pytest

from astica_sync.core.model import make_scope
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, fill, in_store, on_service


@pytest.mark.long
@pytest.mark.parametrize(
    ("title", "shown", "kept"),
    [
        ("Tom & Jerry", "Tom &amp; Jerry", "Tom Jerry"),
        ("a<b", "a&lt;b", "a b"),
        ('6" pipe', "6&quot; pipe", "6 pipe"),
        ("&lt; 5 mm", "&amp;lt; 5 mm", "lt 5 mm"),
    ],
)
def test_a_class_whose_title_the_service_changes_is_not_sent_for_ever(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int, title: str, shown: str, kept: str
) -> None:
    sandbox.set_switches(titles="html")
    fill(pushed, {title: 3}, start=500)
    for _ in range(6):
        shell("push", "--store", pushed)
    sandbox.clear_log()
    ran = shell("push", "--store", pushed)
    assert ran.code == 3
    assert f"the service shows it in class '{shown}' each time it is sent to '{title}'" in ran.out + ran.err
    assert f"mv '{title}' '{kept}'" in ran.out + ran.err
    assert [request.call for request in sandbox.log] == ["view"]
    (pushed / title).rename(pushed / kept)
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert shell("push", "--json", "--store", pushed).json["in_sync"] is True
    assert on_service(sandbox, model_id) == in_store(pushed)


@pytest.mark.parametrize(
    ("form", "title"), [("nfd", "Cafe\u0301 \u00c5"), ("nfc", "Cafe\u0301 \u00c5"), ("nfd", "\ud55c\uae00")]
)
def test_a_class_whose_title_the_service_normalizes_is_sent_once(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, form: str, title: str
) -> None:
    sandbox.set_switches(titles=form)
    fill(pushed, {title: 3}, start=500)
    assert shell("push", "--store", pushed).code == 0
    assert len(sandbox.requests_of("upload")) == 3
    sandbox.clear_log()
    assert shell("push", "--json", "--store", pushed).json["in_sync"] is True
    assert not sandbox.requests_of("upload")


def test_a_sample_that_was_moved_on_the_page_of_the_service_comes_back_to_its_class(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    for _ in range(2):
        sample = sandbox.samples(model_id)[0]
        sandbox.remove_sample(sample.sample_id)
        sandbox.add_sample(model_id, "Elsewhere", sample.image, sample.uid)
        assert shell("push", "--yes", "--store", pushed).code == 0
        assert on_service(sandbox, model_id) == in_store(pushed)


def test_two_classes_of_one_scope_are_refused(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    """Titles of one scope can be made within a second by who knows the id of the model."""
    seen: dict[str, str] = {}
    for number in range(1_000_000):
        title = f"Class {number}"
        other = seen.setdefault(make_scope(model_id, title), title)
        if other != title:
            break
    fill(pushed, {other: 1, title: 1}, start=600)
    sandbox.clear_log()
    for command in (("push",), ("push", "--yes"), ("status",)):
        ran = shell(*command, "--store", pushed)
        assert ran.code == 1
        assert repr(other) in ran.err and repr(title) in ran.err and "Rename one of the two" in ran.err
    assert not sandbox.requests_of("upload")
    (pushed / title).rename(pushed / "Another")
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)
