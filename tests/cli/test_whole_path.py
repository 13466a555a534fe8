"""A folder of photos, mirrored to a model, end to end."""

from pathlib import Path

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw, in_store, on_service


def calls(box: RunningSandbox) -> list[str]:
    return [request.call for request in box.log]


def test_a_folder_is_pushed_changed_and_pushed_again_with_the_fewest_requests(
    shell: Shell, sandbox: RunningSandbox, photos: Path
) -> None:
    made = shell("init", photos, "--create", "Cans", "--type", "image", "--purpose", "sort cans")
    assert made.code == 0, made.err
    [(model_id, title)] = sandbox.models()
    assert title == "Cans"
    assert not sandbox.samples(model_id), "init uploads nothing"

    first = shell("push", "--store", photos)
    assert first.code == 0, first.err
    assert on_service(sandbox, model_id) == in_store(photos)
    assert len(sandbox.samples(model_id)) == 8
    assert shell("pull-status", "--store", photos, "--exit-code").code == 0

    (photos / "Can" / "001.jpg").rename(photos / "Bottle" / "moved.jpg")
    (photos / "Büchse" / "eins.png").unlink()
    draw(photos / "Can" / "new" / "one.png", 1)
    assert shell("pull-status", "--store", photos, "--exit-code").code == 5
    sandbox.clear_log()
    second = shell("push", "--store", photos)
    assert second.code == 0, second.err
    assert sorted(calls(sandbox)) == ["sample_remove", "sample_remove", "upload", "upload", "view"]
    assert shell("pull-status", "--store", photos, "--exit-code").code == 0
    assert on_service(sandbox, model_id) == in_store(photos)

    sandbox.clear_log()
    third = shell("push", "--store", photos)
    assert third.code == 0
    assert calls(sandbox) == ["view"]
    assert "with 1 request" in third.out


def test_a_rename_inside_a_class_sends_nothing(shell: Shell, sandbox: RunningSandbox, pushed: Path) -> None:
    (pushed / "Can" / "000.png").rename(pushed / "Can" / "other name.png")
    assert shell("push", "--store", pushed).code == 0
    assert calls(sandbox) == ["view"]


def test_a_changed_image_is_another_sample(shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int) -> None:
    draw(pushed / "Can" / "000.png", 77)
    assert shell("push", "--store", pushed).code == 0
    assert calls(sandbox) == ["view", "upload", "sample_remove"]
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_the_same_image_twice_in_one_class_is_one_sample(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    (pushed / "Can" / "copy.png").write_bytes((pushed / "Can" / "000.png").read_bytes())
    assert shell("push", "--store", pushed).code == 0
    (pushed / "Can" / "000.png").unlink()
    assert shell("push", "--store", pushed).code == 0
    assert calls(sandbox) == ["view", "view"]
    assert len(sandbox.samples(model_id)) == 5


def test_the_same_image_in_two_classes_is_two_samples_and_a_warning(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    (pushed / "Bottle" / "twin.png").write_bytes((pushed / "Can" / "000.png").read_bytes())
    status = shell("pull-status", "--store", pushed)
    assert "= Bottle/twin.png  Can/000.png" in status.out
    ran = shell("push", "--store", pushed)
    assert ran.code == 0
    assert "several classes" in ran.err
    assert len(sandbox.samples(model_id)) == 6
    assert on_service(sandbox, model_id) == in_store(pushed)
    assert "two classes" not in shell("push", "--json", "--store", pushed).out


def test_a_whole_class_is_removed_by_one_request_after_a_view(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    for file in (pushed / "Can").iterdir():
        file.unlink()
    assert shell("push", "--yes", "--store", pushed).code == 0
    assert calls(sandbox) == ["view", "view", "class_remove"]
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_unmanaged_samples_are_left_as_they_are(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    sandbox.add_sample(model_id, "Can", b"made on the web page", "my own uid")
    sandbox.add_sample(model_id, "Elsewhere", b"made by a script")
    for file in (pushed / "Can").iterdir():
        file.unlink()
    status = shell("pull-status", "--json", "--store", pushed).json
    assert status["remote"] == {"classes": 3, "samples": 7, "managed": 5, "unmanaged": 2}
    assert shell("push", "--yes", "--store", pushed).code == 0
    images = {sample.image for sample in sandbox.samples(model_id)}
    assert {b"made on the web page", b"made by a script"} < images
    assert not sandbox.requests_of("class_remove"), "the class has unmanaged samples"


def test_a_sample_removed_elsewhere_is_uploaded_again(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    sandbox.remove_sample(sandbox.samples(model_id)[0].sample_id)
    shell.environ["ASTICA_QUARANTINE"] = "0"
    assert shell("push", "--store", pushed).code == 0
    assert calls(sandbox) == ["view", "upload"]
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_a_lost_index_costs_one_scan_and_a_lost_journal_one_observation(
    shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int
) -> None:
    for name in ("index.db", "journal.db"):
        (pushed / ".astica-sync" / name).unlink()
        sandbox.clear_log()
        ran = shell("push", "--store", pushed)
        assert ran.code == 0, ran.err
        assert calls(sandbox) == ["view"], name
    (pushed / "Can" / "000.png").unlink()
    assert shell("push", "--store", pushed).code == 0
    assert on_service(sandbox, model_id) == in_store(pushed)


def test_the_backup_has_the_image_of_a_removed_sample(shell: Shell, pushed: Path, tmp_path: Path) -> None:
    removed = pushed / "Can" / "000.png"
    image = removed.read_bytes()
    removed.unlink()
    assert shell("push", "--store", pushed).code == 0
    ran = shell("backup", "restore", "--store", pushed, "--to", tmp_path / "restored")
    assert ran.code == 0, ran.err
    assert (tmp_path / "restored" / "Can" / "000.png").read_bytes() == image


def test_the_log_lists_uploads_and_removals(shell: Shell, pushed: Path) -> None:
    (pushed / "Can" / "000.png").unlink()
    shell("push", "--store", pushed)
    lines = shell("log", "--store", pushed).out.splitlines()
    assert len(lines) == 6
    assert all("upload" in line for line in lines[:5])
    assert "remove" in lines[5] and "Can/000.png" in lines[5]


def test_a_dry_run_sends_the_view_alone_and_shows_the_plan(shell: Shell, sandbox: RunningSandbox, pushed: Path) -> None:
    draw(pushed / "Can" / "new.png", 88)
    (pushed / "Can" / "000.png").unlink()
    plan = shell("push", "--dry-run", "--json", "--store", pushed).json
    status = shell("pull-status", "--json", "--store", pushed).json
    assert calls(sandbox) == ["view", "view"]
    assert {**status["plan"], "eta_seconds": 0, "refusals": []} == {**plan, "eta_seconds": 0}
    assert plan["requests"] == 3
    assert [entry["path"] for entry in plan["upload"]] == ["Can/new.png"]
