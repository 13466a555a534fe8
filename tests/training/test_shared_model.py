"""Two people train one model: a version has the data of its own training, or its data is not known."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from astica_sync import Client
from astica_sync.core.versions.pending_training import MOST_SKIPPED
from astica_sync.remote.rate_limited_client import RateLimitedClient
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Ran, Shell, draw

# Seconds of real trainings for each test.
pytestmark = pytest.mark.long


@pytest.fixture
def elsewhere(shell: Shell) -> Iterator[Client]:
    """Another person with the same key."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shell.environ.items():
            patch.setenv(name, value)
        with Client() as client:
            yield client


def trained(shell: Shell, store: Path) -> str:
    ran = shell("train", "--store", store)
    assert ran.code == 0, ran.err
    return ran.out.strip()


def train_in_background(shell: Shell, store: Path, *options: str) -> None:
    assert shell("train", "--no-wait", *options, "--store", store).code == 0


def push_another(shell: Shell, store: Path) -> None:
    """Pushes one image more."""
    draw(store / "Can" / "mine.png", 88)
    assert shell("push", "--store", store).code == 0


def versions(shell: Shell, store: Path) -> dict[str, dict[str, object]]:
    listed: Ran = shell("versions", "--json", "--store", store)
    assert listed.code == 0, listed.err
    return {one["name"]: one for one in listed.json["versions"]}


def train_elsewhere(client: Client, sandbox: RunningSandbox, model_id: int, image: Path | None) -> str:
    sandbox.wait_for_training()
    if image is not None:
        client.upload(model_id, "Can", image, "made elsewhere")
    client.train(model_id)
    sandbox.wait_for_training()
    return sandbox.versions(model_id)[-1]


def train_after(shell: Shell, store: Path, others_act: Callable[[], None]) -> None:
    """Requests a training; others act between the view that it is prepared with and its request."""
    train = RateLimitedClient.train

    def just_before(client: RateLimitedClient, model: int) -> None:
        # The others may train as well.
        patch.undo()
        others_act()
        train(client, model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RateLimitedClient, "train", just_before)
        train_in_background(shell, store, "--anyway")


def test_a_version_that_another_user_trained_meanwhile_does_not_get_our_data(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client, tmp_path: Path
) -> None:
    first = trained(shell, store)
    sandbox.set_switches(training_time=0.4)
    push_another(shell, store)
    train_in_background(shell, store)
    theirs = train_elsewhere(elsewhere, sandbox, model_id, draw(tmp_path / "theirs.png", 99))
    mine = sandbox.versions(model_id)[-2]

    listed = versions(shell, store)
    assert list(listed) == [first, mine, theirs], "the version that was skipped is found"
    assert listed[theirs]["snapshot"] is None and "added elsewhere" in str(listed[theirs]["unknown_because"])
    assert listed[mine]["samples"] == 6
    for arguments in (
        ["push", "--as", theirs],
        ["snapshot", "diff", first, theirs],
        ["snapshot", "show", theirs],
        ["snapshot", "restore", theirs, "--to", tmp_path / "then"],
    ):
        ran = shell(*arguments, "--store", store)
        assert ran.code == 1 and "is not known" in ran.err and "added elsewhere" in ran.err, arguments
    assert "its data is not known" in shell("versions", "--store", store).out
    assert shell("train", "--json", "--anyway", "--store", store).code == 0, "nothing is left open"


def test_what_was_added_after_the_training_or_by_this_store_leaves_the_data_known(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client, tmp_path: Path
) -> None:
    train_in_background(shell, store)
    sandbox.wait_for_training()
    push_another(shell, store)
    (one,) = versions(shell, store).values()
    assert one["samples"] == 5 and one["unknown_because"] is None

    train_in_background(shell, store)
    sandbox.wait_for_training()
    while elsewhere.model(model_id).trained_at >= int(sandbox_time(sandbox)):  # type: ignore[operator]
        pass
    elsewhere.upload(model_id, "Can", draw(tmp_path / "theirs.png", 99), "made elsewhere")
    second = versions(shell, store)[sandbox.versions(model_id)[-1]]
    assert second["samples"] == 6 and second["unknown_because"] is None


def sandbox_time(sandbox: RunningSandbox) -> float:
    return sandbox._sandbox.now()


@pytest.mark.parametrize("change", ["add", "remove", "both"])
def test_a_version_after_a_lost_request_does_not_get_our_data(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client, tmp_path: Path, change: str
) -> None:
    trained(shell, store)
    sandbox.set_faults("model_train:1=lost-before")
    train_in_background(shell, store, "--anyway")
    if change != "add":
        sandbox.remove_sample(next(one.sample_id for one in sandbox.samples(model_id) if one.class_title == "Can"))
    added = draw(tmp_path / "theirs.png", 99) if change != "remove" else None
    theirs = train_elsewhere(elsewhere, sandbox, model_id, added)
    shown = versions(shell, store)[theirs]
    assert shown["snapshot"] is None
    because = str(shown["unknown_because"])
    assert ("added" in because, "removed" in because) == (change != "remove", change != "add"), because


def test_what_this_store_removed_after_a_lost_answer_leaves_the_data_known(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_faults("model_train:1=lost-after")
    train_in_background(shell, store)
    (store / "Can" / "000.png").unlink()
    assert shell("push", "--store", store).code == 0
    sandbox.wait_for_training()
    (one,) = versions(shell, store).values()
    assert one["samples"] == 5 and one["unknown_because"] is None


def test_another_user_who_trains_the_same_data_changes_nothing(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client
) -> None:
    train_in_background(shell, store)
    theirs = train_elsewhere(elsewhere, sandbox, model_id, None)
    assert versions(shell, store)[theirs]["samples"] == 5


def test_the_leak_check_says_that_the_data_is_not_known(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client, tmp_path: Path
) -> None:
    train_in_background(shell, store)
    theirs = train_elsewhere(elsewhere, sandbox, model_id, draw(tmp_path / "theirs.png", 99))
    held_out = tmp_path / "held-out"
    for title, seed in (("Can", 301), ("Bottle", 302)):
        draw(held_out / title / "a.png", seed)
    ran = shell("evaluate", held_out, "--json", "--store", store)
    assert ran.code == 0, ran.err
    assert ran.json["unknown_data"] == [theirs]
    assert f"the data of version {theirs} is not known" in shell("evaluate", held_out, "--store", store).out


def test_several_trainings_of_others_leave_no_version_with_our_data(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client
) -> None:
    """So many that their names are not tried one by one."""
    trained(shell, store)
    train_in_background(shell, store, "--anyway")
    sandbox.wait_for_training()
    elsewhere.remove_sample(sandbox.samples(model_id)[0].sample_id)
    for _ in range(MOST_SKIPPED + 1):
        theirs = train_elsewhere(elsewhere, sandbox, model_id, None)
    listed = versions(shell, store)
    assert listed[theirs]["snapshot"] is None and "removed elsewhere" in str(listed[theirs]["unknown_because"])


def test_a_sample_of_ours_that_others_put_back_is_theirs(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client, tmp_path: Path
) -> None:
    path = sorted((store / "Can").iterdir())[0]
    image = path.rename(tmp_path / "image.png")
    (uid,) = [one.uid for one in sandbox.samples(model_id) if one.image == image.read_bytes()]
    assert shell("push", "--yes", "--store", store).code == 0
    trained(shell, store)
    push_another(shell, store)
    train_in_background(shell, store)
    sandbox.wait_for_training()
    elsewhere.upload(model_id, "Can", image, uid)
    theirs = train_elsewhere(elsewhere, sandbox, model_id, None)
    listed = versions(shell, store)
    assert listed[theirs]["snapshot"] is None and "added elsewhere" in str(listed[theirs]["unknown_because"])


def test_what_others_added_trained_and_removed_again_leaves_a_doubt(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client, tmp_path: Path
) -> None:
    first = trained(shell, store)
    sandbox.set_switches(training_time=0.4)
    push_another(shell, store)
    train_in_background(shell, store)
    theirs = train_elsewhere(elsewhere, sandbox, model_id, draw(tmp_path / "theirs.png", 99))
    elsewhere.remove_sample(sandbox.samples(model_id)[-1].sample_id)
    listed = versions(shell, store)
    mine = sandbox.versions(model_id)[-2]
    assert list(listed) == [first, mine, theirs]
    assert listed[theirs]["snapshot"] is None and "1 version was made" in str(listed[theirs]["unknown_because"])
    assert listed[mine]["samples"] == 6, "the version that was skipped is found"


def test_what_this_store_repairs_after_the_request_leaves_the_data_known(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client, tmp_path: Path
) -> None:
    """A sample in another class than it was sent to is in the snapshot by the class that is shown."""
    moved = next(one for one in sandbox.samples(model_id) if one.class_title == "Can")
    sandbox.remove_sample(moved.sample_id)
    (tmp_path / "image.png").write_bytes(moved.image)
    elsewhere.upload(model_id, "Bottle", tmp_path / "image.png", moved.uid)
    shell.environ["ASTICA_QUARANTINE"] = "0.001"
    assert shell("train", "--no-wait", "--anyway", "--store", store).code == 0
    sandbox.wait_for_training()
    assert shell("push", "--yes", "--store", store).code == 0
    (one,) = versions(shell, store).values()
    assert one["samples"] == 5 and one["unknown_because"] is None


@pytest.mark.parametrize("put_back", ["not", "elsewhere", "by the store", "by the store, under its id"])
def test_what_others_remove_between_the_view_and_the_request_leaves_a_doubt(
    shell: Shell,
    sandbox: RunningSandbox,
    store: Path,
    model_id: int,
    elsewhere: Client,
    tmp_path: Path,
    put_back: str,
) -> None:
    first = trained(shell, store)
    lost = sandbox.samples(model_id)[0]
    # What was confirmed and is not shown is sent again after that time.
    shell.environ["ASTICA_QUARANTINE"] = "0.001"
    train_after(shell, store, lambda: sandbox.remove_sample(lost.sample_id))
    sandbox.wait_for_training()
    if put_back == "elsewhere":
        (tmp_path / "image.png").write_bytes(lost.image)
        elsewhere.upload(model_id, lost.class_title, tmp_path / "image.png", lost.uid)
    elif put_back != "not":
        assert shell("push", "--store", store).code == 0
        again = next(one for one in sandbox.samples(model_id) if one.uid == lost.uid)
        if put_back.endswith("id"):
            # As a service does that gives the ids of removed samples again.
            with sandbox._account.change() as db:
                db.execute("DELETE FROM samples WHERE id = ?", [lost.sample_id])
                db.execute("UPDATE samples SET id = ? WHERE id = ?", [lost.sample_id, again.sample_id])
    listed = versions(shell, store)
    second = sandbox.versions(model_id)[-1]
    assert list(listed) == [first, second]
    assert listed[second]["snapshot"] is None
    assert "1 sample was no longer shown just after" in str(listed[second]["unknown_because"])


def test_what_others_remove_after_a_confirmed_request_leaves_the_data_known(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client
) -> None:
    first = trained(shell, store)
    train_in_background(shell, store, "--anyway")
    sandbox.wait_for_training()
    elsewhere.remove_sample(sandbox.samples(model_id)[0].sample_id)
    listed = versions(shell, store)
    assert [one["samples"] for one in listed.values()] == [5, 5] and next(iter(listed)) == first


@pytest.mark.parametrize("stale", [False, True])
def test_a_view_after_the_request_that_is_behind_leaves_the_data_known(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, monkeypatch: pytest.MonkeyPatch, stale: bool
) -> None:
    """What it lacks is shown again by the next one; one that fails concludes nothing."""
    trained(shell, store)
    if not stale:
        sandbox.set_faults("view:2-9=5xx")
    else:
        view = RateLimitedClient.view
        views = 0

        def behind(client: RateLimitedClient, *arguments: Any) -> Any:
            nonlocal views
            views += 1
            observation, body = view(client, *arguments)
            if views == 2:
                observation = replace(observation, samples=list(observation.samples)[1:], name="")
            return observation, body

        monkeypatch.setattr(RateLimitedClient, "view", behind)
    train_in_background(shell, store, "--anyway")
    sandbox.set_faults()
    sandbox.wait_for_training()
    assert [one["samples"] for one in versions(shell, store).values()] == [5, 5]


def test_a_version_named_by_its_date_after_a_removal_elsewhere_leaves_a_doubt(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client
) -> None:
    """Nothing shows how many versions lie between two dates: it may be one that others trained without the sample."""
    sandbox.set_switches(version_form="date")
    trained(shell, store)
    train_in_background(shell, store, "--anyway")
    sandbox.wait_for_training()
    elsewhere.remove_sample(sandbox.samples(model_id)[0].sample_id)
    theirs = train_elsewhere(elsewhere, sandbox, model_id, None)
    shown = versions(shell, store)[theirs]
    assert shown["snapshot"] is None and "removed elsewhere" in str(shown["unknown_because"])


def test_a_version_that_was_there_just_after_the_request_is_not_taken_for_ours(
    shell: Shell,
    sandbox: RunningSandbox,
    store: Path,
    model_id: int,
    elsewhere: Client,
    tmp_path: Path,
) -> None:
    """Others add, train and remove between the view and the request."""
    trained(shell, store)

    def add_train_and_remove() -> None:
        train_elsewhere(elsewhere, sandbox, model_id, draw(tmp_path / "theirs.png", 99))
        sandbox.remove_sample(sandbox.samples(model_id)[-1].sample_id)

    train_after(shell, store, add_train_and_remove)
    sandbox.wait_for_training()
    listed = versions(shell, store)
    theirs = sandbox.versions(model_id)[-2]
    assert theirs not in listed or listed[theirs]["snapshot"] is None


def test_what_others_add_before_the_request_and_remove_later_leaves_a_doubt(
    shell: Shell,
    sandbox: RunningSandbox,
    store: Path,
    model_id: int,
    elsewhere: Client,
    tmp_path: Path,
) -> None:
    trained(shell, store)
    theirs = draw(tmp_path / "theirs.png", 99)
    train_after(shell, store, lambda: elsewhere.upload(model_id, "Can", theirs, "made elsewhere"))
    sandbox.wait_for_training()
    sandbox.remove_sample(sandbox.samples(model_id)[-1].sample_id)
    second = sandbox.versions(model_id)[-1]
    listed = versions(shell, store)[second]
    assert listed["snapshot"] is None and "1 sample was added elsewhere" in str(listed["unknown_because"])


def test_a_training_of_another_model_in_between_leaves_the_data_known(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int, elsewhere: Client, tmp_path: Path
) -> None:
    """The sandbox counts the versions of all models of the account."""
    trained(shell, store)
    other = sandbox.add_model("Other")
    for number, title in enumerate(("Can", "Bottle")):
        sandbox.add_sample(other, title, draw(tmp_path / f"{title}.png", 90 + number).read_bytes(), title)
    elsewhere.train(other)
    sandbox.wait_for_training()
    assert shell("train", "--anyway", "--store", store).code == 0
    second = sandbox.versions(model_id)[-1]
    assert versions(shell, store)[second]["samples"] == 5


def test_two_trainings_within_a_minute_with_names_of_their_times_leave_the_data_known(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    sandbox.set_switches(version_form="date")
    first = trained(shell, store)
    # Two versions of one second have one name.
    while sandbox.versions(model_id)[-1:] == [first]:
        assert shell("train", "--anyway", "--store", store).code == 0
    second = sandbox.versions(model_id)[-1]
    assert versions(shell, store)[second]["samples"] == 5
