"""The Python API: the examples of its page run, and every documented call has a command and a method."""

import inspect
import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

import astica_sync
from astica_sync import Client, Store
from astica_sync.cli.main import cli
from astica_sync.errors import AsticaSyncError, ConfigError
from astica_sync.remote import client as remote_client
from astica_sync.sandbox.embedded import RunningSandbox
from tests.harness.digits import write_digits
from tests.harness.shell import Shell, draw

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (DOCS / "python-api.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
ROWS = [
    [cell.strip().strip("`") for cell in line.strip("|").split("|")]
    for line in (DOCS / "dev" / "api-coverage.md").read_text("utf-8").splitlines()
    if line.startswith("| `/")
]


@pytest.fixture
def account(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """The environment variables of this process name the sandbox."""
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    yield shell


@pytest.mark.long
def test_every_example_of_the_api_page_runs(
    account: Shell, sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_digits(tmp_path / "digits", 6)
    write_digits(tmp_path / "held-out", 2, start=6)
    assert account("init", tmp_path / "digits", "--model", str(sandbox.add_model("Digits"))).code == 0
    monkeypatch.chdir(tmp_path)
    assert len(EXAMPLES) == 9
    for example in EXAMPLES:
        exec(compile(example, "python-api.md", "exec"), {})
    assert (tmp_path / "as-it-was" / "zero" / "000.png").exists()
    assert len(sandbox.samples(1001)) == 24


def test_every_documented_call_is_in_the_table_with_a_command_and_a_method_that_exist() -> None:
    source = Path(remote_client.__file__).read_text("utf-8")
    assert {row[0] for row in ROWS} == set(re.findall(r'"(/(?:model/\w+|detect))"', source))
    for call, command, method, tests in ROWS:
        found = cli
        for word in command.split():
            found = found.get_command(None, word)  # type: ignore[attr-defined, arg-type]
            assert found is not None, f"{call}: no command {command}"
        name, _, attribute = method.partition(".")
        assert callable(getattr(getattr(astica_sync, name), attribute)), f"{call}: no {method}"
        by_command, by_method = (globals()[test.strip("` ")] for test in tests.split(","))
        assert by_command is test_every_call_is_sent_by_its_command
        assert f"client.{attribute}(" in inspect.getsource(by_method), (
            f"{call}: {method} is not in {by_method.__name__}"
        )
    for test in re.findall(r"`(test_\w+)`", (DOCS / "dev" / "api-coverage.md").read_text("utf-8")):
        assert callable(globals()[test])


def test_every_call_is_sent_by_its_command(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "digits", 2)
    made = {"--title": "Made here", "--type": "image", "--purpose": "test"}
    arguments: dict[str, Callable[[], Iterable[str | Path]]] = {
        "models create": lambda: itertools.chain.from_iterable(made.items()),
        "models": list,
        "pull-status": lambda: ["--store", folder],
        "push": lambda: ["--store", folder],
        "train": lambda: ["--store", folder],
        "detect": lambda: [folder / "one", "--store", folder],
        "remove-sample": lambda: [
            *(str(sandbox.add_sample(1001, "one", b"x")), "--yes", "--lose-unmanaged", "1", "--store", folder)
        ],
        "remove-class": lambda: [str(sandbox.add_class(1001, "Empty")), "--yes", "--store", folder],
        "models remove": lambda: ["1001", "--yes", "--store", folder],
    }
    assert {row[1] for row in ROWS} == set(arguments)
    for call, command, _, _ in ROWS:
        if command == "pull-status":
            assert shell("init", folder, "--model", "1001").code == 0
        sandbox.clear_log()
        ran = shell(*command.split(), *arguments[command]())
        assert ran.code == 0, ran.err
        assert sandbox.requests_of(call.rpartition("/")[2]), f"{command} does not send {call}"


@pytest.mark.switches("no model list")
def test_models_are_listed_on_a_service_without_a_model_list(account: Shell, sandbox: RunningSandbox) -> None:
    model_id = sandbox.add_model("Theirs")
    with Client() as client:
        assert [model.model_id for model in client.models()] == [model_id]
    assert account("models", "--json").json[0]["model_id"] == model_id


def test_a_client_sends_every_documented_call(account: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    with Client() as client:
        client.create_model("Made here", type="image", purpose="test", tags="a,b")
        (model,) = client.models()
        for number in range(4):
            image = draw(tmp_path / f"{number}.png", number)
            client.upload(model.model_id, ("Can", "Bottle")[number % 2], image, uid=f"mine-{number}")
        client.upload(model.model_id, "Gone", image.read_bytes())
        observation = client.view(model.model_id)
        assert [sample.uid for sample in observation][1:] == [f"mine-{number}" for number in range(4)]
        client.remove_sample(next(sample.sample_id for sample in observation if sample.uid == "mine-3"))
        client.remove_class(next(entry.class_id for entry in observation.classes if entry.title == "Gone"))
        client.train(model.model_id)
        sandbox.wait_for_training()
        version = client.model(model.model_id).version
        assert version == sandbox.versions(model.model_id)[0]
        assert client.detect(model.model_id, version, image).label in ("Can", "Bottle")
        assert client.requests == len(sandbox.log)
        client.remove_model(model.model_id)
        assert client.models() == []
    calls = {request.call for request in sandbox.log}
    assert {row[0].rpartition("/")[2] for row in ROWS} == calls


def test_the_client_takes_a_key_and_refuses_an_unsafe_address(sandbox: RunningSandbox, account: Shell) -> None:
    with Client(sandbox.key, train_url=sandbox.url, detect_url=sandbox.url) as client:
        assert client.models() == []
    with pytest.raises(ConfigError, match="train_url"):
        Client("k", train_url="http://example.org")


def test_store_errors_name_the_problem(account: Shell, store: Path, tmp_path: Path) -> None:
    with pytest.raises(AsticaSyncError, match="no store in"):
        Store(tmp_path)
    with Store(store) as opened:
        for call in (opened.snapshot, lambda name: opened.push(as_version=name), opened.plan_as):
            with pytest.raises(AsticaSyncError, match="no version 'nope'"):
                call("nope")
        with pytest.raises(AsticaSyncError, match="is inside the store"):
            opened.train()
            opened.restore("@1", store / "Can")


def test_importing_the_package_imports_no_large_dependency() -> None:
    program = "import astica_sync, sys; sys.exit(' '.join(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert not {"httpx", "sqlite3", "PIL", "numpy", "click"} & set(ended.stderr.split())
    with pytest.raises(AttributeError):
        import_module("astica_sync").__getattr__("Nothing")
