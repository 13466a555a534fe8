"""What scripts read: the shapes of --json, nothing else on standard output, and the exit codes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.shell import Shell, draw

DAMAGED = Path(__file__).parents[2] / "fixtures" / "damaged"


def shape(value: Any) -> Any:
    """The names in a JSON value, with the kind of each leaf; of a list its first entry."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


SAMPLE = {"class": "str", "sample_id": "int", "uid": "str"}


def make_everything_differ(shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int) -> None:
    """One of each: to upload, to remove, a class to remove, waiting, a problem, unmanaged, a refusal."""
    for number in range(3):
        draw(store / "Dose" / f"{number}.png", 60 + number)
    assert shell("push", "--store", store).code == 0
    shutil.rmtree(store / "Dose")
    (store / "Can" / "000.png").unlink()
    shutil.copy(DAMAGED / "text.jpg", store / "Can" / "text.jpg")
    draw(store / "Can" / "new.png", 80)
    sandbox.add_sample(model_id, "Elsewhere", b"made elsewhere")
    sandbox.remove_sample(next(one.sample_id for one in sandbox.samples(model_id) if one.class_title == "Bottle"))
    shell.environ["ASTICA_QUARANTINE"] = "600"


@pytest.mark.long
@pytest.mark.parametrize("encoding", ["iso8859-1", "ascii", "utf-8"])
def test_json_is_utf8_whatever_the_encoding_of_the_output(shell: Shell, store: Path, encoding: str) -> None:
    shell.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{encoding}:backslashreplace"}
    name = "Gl\u00f6\u00dfe \U0001f944"
    draw(store / name / "0.png", 60)
    ran = shell.finish(shell.start("push", "--dry-run", "--json", "--store", store, encoding="latin-1"))
    assert ran.code == 0, ran.err
    data = json.loads(ran.out.encode("latin-1").decode("utf-8"))
    assert f"{name}/0.png" in [entry["path"] for entry in data["upload"]]
    # A file in UTF-8 can be searched for the name as it is.
    assert (name in ran.out.encode("latin-1").decode("utf-8")) is (encoding == "utf-8")


def test_the_status_has_the_promised_shape(shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int) -> None:
    make_everything_differ(shell, sandbox, store, model_id)
    ran = shell("pull-status", "--json", "--store", store)
    assert ran.code == 0
    assert ran.err == ""
    assert shape(ran.json) == {
        "model_id": "int",
        "in_sync": "bool",
        "local": {"classes": "int", "samples": "int"},
        "remote": {"classes": "int", "samples": "int", "managed": "int", "unmanaged": "int"},
        "plan": {
            "upload": [{"class": "str", "path": "str", "uid": "str", "converted_from": "NoneType"}],
            "remove": [SAMPLE],
            "remove_class": [{"class": "str", "class_id": "int", "samples": "int"}],
            "requests": "int",
            "eta_seconds": "float",
            "unchecked": "int",
        },
        "waiting": [{"class": "str", "uid": "str", "reason": "str"}],
        "problems": [{"path": "str", "reason": "str"}],
        "unmanaged": [SAMPLE],
        "copies": [],
        "held_out": [],
        "in_two_formats": [],
        "follows": "NoneType",
        "owns": "NoneType",
        "not_owned": [],
        "give_up": [],
        "in_other_stores": [],
        "stores": [],
        "contradictions": [],
        "changed": "NoneType",
        "asked_at": "float",
        "confirmed_since": "int",
        "removed_since": "int",
        "refusals": [{"reason": "str", "samples": [SAMPLE]}],
    }
    found = ran.json
    assert found["model_id"] == model_id
    assert found["in_sync"] is False
    assert found["local"] == {"classes": 2, "samples": 5}
    assert found["remote"] == {"classes": 4, "samples": 8, "managed": 7, "unmanaged": 1}
    assert found["plan"]["requests"] == 1 + 1 + 1, "two views and an upload; the removals are refused"
    assert found["plan"]["remove_class"][0]["samples"] == 3


def test_the_result_of_a_push_has_the_promised_shape(
    shell: Shell, sandbox: RunningSandbox, store: Path, model_id: int
) -> None:
    make_everything_differ(shell, sandbox, store, model_id)
    shell.environ["ASTICA_QUARANTINE"] = "0.4"
    shutil.copy(DAMAGED / "cut-in-half.png", store / "Can" / "cut.png")
    sandbox.clear_log()
    ran = shell("push", "--json", "--store", store)
    assert shape(ran.json) == {
        "uploaded": "int",
        "removed": "int",
        "failed": [{"class": "str", "path": "str", "reason": "str"}],
        "requests": "int",
        "requests_refused": "int",
        "unmanaged": "int",
        "in_sync": "bool",
        "held": [],
        "problems": [{"path": "str", "reason": "str"}],
        "in_two_formats": [],
        "given_up": [],
        "not_owned": [],
        "refusals": [{"reason": "str", "samples": [SAMPLE]}],
    }
    assert ran.json["requests"] == len(sandbox.log)
    assert ran.code == 4


def test_the_keys_are_the_same_when_nothing_differs(shell: Shell, store: Path, pushed: Path) -> None:
    status = shell("pull-status", "--json", "--store", pushed).json
    assert status["plan"].pop("eta_seconds") >= 0.0
    assert status["in_sync"] is True
    assert status["plan"] == {"upload": [], "remove": [], "remove_class": [], "requests": 1, "unchecked": 0}
    assert [status[name] for name in ("waiting", "problems", "unmanaged", "refusals")] == [[], [], [], []]
    assert shell("push", "--json", "--store", pushed).json == {
        "uploaded": 0,
        "removed": 0,
        "failed": [],
        "requests": 1,
        "requests_refused": 0,
        "unmanaged": 0,
        "in_sync": True,
        "held": [],
        "problems": [],
        "in_two_formats": [],
        "given_up": [],
        "not_owned": [],
        "refusals": [],
    }


def test_a_refused_key_leaves_standard_output_empty(shell: Shell, store: Path) -> None:
    shell.environ["ASTICA_API_KEY"] = "wrong"
    for command in ("push", "pull-status"):
        ran = shell(command, "--json", "--store", store)
        assert ran.code == 1 and ran.out == "" and ran.err


def test_the_same_image_twice_in_a_class_is_named(shell: Shell, pushed: Path) -> None:
    for name, of in (("b copy.png", "Can/001.png"), ("deep/a copy.png", "Can/001.png"), ("c.png", "Bottle/000.png")):
        (pushed / "Can" / name).parent.mkdir(exist_ok=True)
        shutil.copy(pushed / of, pushed / "Can" / name)
    status = shell("pull-status", "--json", "--store", pushed).json
    assert status["copies"] == [["Can/001.png", "Can/b copy.png", "Can/deep/a copy.png"]]
    for command in (["pull-status"], ["push", "--dry-run"]):
        shown = shell(*command, "--store", pushed).out
        assert "more than once in a class, sent once (1):" in shown
        assert "= Can/001.png  Can/b copy.png  Can/deep/a copy.png" in shown
    assert shown.startswith("class "), "nothing is above the table of a dry run"


def test_the_log_of_a_class_and_since_a_time(shell: Shell, pushed: Path) -> None:
    def paths(*arguments: str) -> list[str]:
        ran = shell("log", "--json", "--store", pushed, *arguments)
        return [json.loads(line)["path"].partition("/")[0] for line in ran.out.splitlines()]

    assert paths("--class", "Bottle") == ["Bottle"] * 2
    assert len(paths("--class", "Bottle", "--class", "Can", "--since", "1h")) == 5
    assert paths("--since", "2100-01-01") == []
    ran = shell("log", "--class", "Botle", "--store", pushed)
    assert ran.code == 1
    assert "the log has no class 'Botle'" in ran.err and "Did you mean 'Bottle'?" in ran.err


def test_each_line_of_the_log_is_an_object(shell: Shell, pushed: Path) -> None:
    lines = shell("log", "--json", "--store", pushed).out.splitlines()
    names = {"at", "action", "class", "path", "uid", "sample_id", "outcome", "reason"}
    assert [set(json.loads(line)) for line in lines] == [names] * 5


def test_the_models_as_json(shell: Shell, sandbox: RunningSandbox, pushed: Path, model_id: int) -> None:
    [model] = shell("models", "--json").json
    assert (model["model_id"], model["title"], model["samples"]) == (model_id, "Cans", 5)
    shown = shell("models", "show", str(model_id), "--json").json
    assert {(entry["class"], entry["samples"]) for entry in shown["class_list"]} == {("Bottle", 2), ("Can", 3)}


def test_names_that_are_not_utf8_are_valid_json(shell: Shell, pushed: Path) -> None:
    draw(pushed / "Can" / "caf\udce9.png", 90)
    status = shell("pull-status", "--json", "--store", pushed)
    status.out.encode("utf-8")
    assert status.json["plan"]["upload"][0]["path"] == "Can/caf\\xe9.png"
