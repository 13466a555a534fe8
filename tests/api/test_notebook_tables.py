"""What a notebook shows of results: no name in it becomes markup, and it stays short."""

import copy
import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from astica_sync import Store
from astica_sync.api.reports.html_table import html_table, notebook_html
from astica_sync.api.reports.status_report import PlanReport, StatusReport
from astica_sync.api.reports.version_list import VersionList
from astica_sync.core.plan.plan import Plan, Upload
from astica_sync.core.versions.version import Version
from astica_sync.errors import AsticaSyncError, ConfigError
from astica_sync.sandbox.embedded import RunningSandbox
from astica_sync.training.version_history import VersionSummary
from tests.harness.digits import write_digits
from tests.harness.shell import Shell, draw

pytest.importorskip("sklearn")

ATTACKS = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)<",
    "'\"><svg onload=alert(1)>",
    "&lt;b&gt;",
    "$\\href{javascript:alert(1)}{x}$",
    "a\u202egpj.exe",
)
TAGS = {"div", "p", "b", "bdi", "table", "thead", "tbody", "tr", "th", "td", "i"}
ATTRIBUTES = {
    ("class", "tex2jax_ignore mathjax_ignore"),
    ("style", "text-align:left"),
    ("style", "text-align:right"),
}


class _Page(HTMLParser):
    """Fails on markup that the program does not write itself."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        assert html.startswith("<div class='tex2jax_ignore mathjax_ignore'>")
        html.encode("utf-8")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS and set(attrs) <= ATTRIBUTES, (tag, attrs)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def _html(shown: object) -> str:
    made = shown._repr_html_()  # type: ignore[attr-defined]
    assert isinstance(made, str)
    return made


@pytest.fixture
def hostile(shell: Shell, store: Path, sandbox: RunningSandbox) -> Iterator[Path]:
    """A store with such names in it, and such titles on the service."""
    for number, attack in enumerate(ATTACKS):
        (store / attack).mkdir()
        draw(store / attack / f"{attack}.png", number)
        (store / attack / f"{attack} note.png").write_text("no image")
        sandbox.add_sample(sandbox.models()[0][0], f"{attack} there", draw(store / "x.png", 40 + number).read_bytes())
    (store / "x.png").unlink()
    yield store


def test_no_name_becomes_markup_in_a_notebook(hostile: Path) -> None:
    with Store(hostile) as store:
        status = store.status()
        shown = [store, status, status.plan, store.samples(status), store.samples()]
        pages = [_Page(_html(one)) for one in shown]
        pushed = store.push(new_classes=ATTACKS)
        assert not pushed.failed
        pages.append(_Page(_html(store.status())))
    for attack in ATTACKS[:5]:
        assert attack in pages[1].text
        assert attack in pages[-1].text
    assert not any("\u202e" in page.text for page in pages), "a name that turns the text around it"
    assert pages[2].text.count("upload") > 3


@pytest.mark.parametrize("attack", [*ATTACKS, "byte \udcff", "a\x00b", "line\nbreak", "-->", "]]>", "<!-- x"])
def test_no_cell_of_a_table_becomes_markup(attack: str) -> None:
    page = _Page(notebook_html(html_table([attack, "count"], [[attack, 1_000]], attack)))
    assert "1,000" in page.text
    version = Version(1, attack, 1.0, 1.0, None, attack)
    summary = VersionSummary(version, None, None, None, None, None, (), attack)
    _Page(_html(VersionList([summary])))
    assert attack not in repr(VersionList([summary])) or attack.isprintable()


@pytest.mark.long
def test_a_table_of_an_evaluation_escapes_as_well(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    names = (ATTACKS[0], ATTACKS[2], "two")
    store_folder = write_digits(tmp_path / "digits", 8, names=names)
    held_out = write_digits(tmp_path / ATTACKS[0], 2, start=8, names=names)
    assert shell("init", store_folder, "--model", str(sandbox.add_model("Digits"))).code == 0
    with Store(store_folder) as store:
        store.push()
        store.train()
        evaluation = store.evaluate(held_out)
        versions = store.versions()
    page = _Page(_html(evaluation))
    assert ATTACKS[0] in page.text and versions[0].version.name in page.text
    assert repr(evaluation).startswith(f"<EvaluationReport: '{versions[0].version.name}' ")
    assert repr(versions) == f"<VersionList: 1: '{versions[0].version.name}'>"
    assert "24" in _Page(_html(versions)).text
    forged = replace(evaluation, measured=tuple(replace(one, version=ATTACKS[2]) for one in evaluation.measured))
    assert ATTACKS[2] in _Page(_html(forged)).text

    pandas = pytest.importorskip("pandas")
    frame = evaluation.to_pandas()
    assert list(frame["version"]) == [versions[0].version.name]
    assert frame["images"][0] == 6
    assert set(evaluation.classes_to_pandas()["class"]) == set(names)
    answers = evaluation.predictions_to_pandas()
    assert len(answers) == 6 and answers["correct"].sum() == frame["correct"][0]
    table = versions.to_pandas()
    assert table["samples"][0] == 24 and isinstance(table["trained_at"][0], pandas.Timestamp)
    assert str(table["trained_at"].dt.tz) == "UTC"


def test_a_table_leaves_out_columns_that_have_nothing() -> None:
    page = _Page(notebook_html(html_table(["", "empty", "count"], [["a", None, 0], ["b", "", 2]])))
    assert page.text.split() == ["count", "a", "0", "b", "2"]


def test_a_plan_of_many_uploads_is_shown_in_a_few_lines() -> None:
    uploads = tuple(Upload(f"{number:032x}-00000000", "Can", f"Can/{number}.png", 1) for number in range(100_000))
    plan = PlanReport.of(Plan(uploads=uploads))
    assert repr(plan) == "<PlanReport: 100,000 to upload, 0 to remove>"
    assert len(_html(plan)) < 5_000 and "99,990 more" in _html(plan)
    assert _Page(_html(PlanReport.of(Plan()))).text == "Nothing to do.\n"
    assert plan.requests == 100_000 and plan == PlanReport.of(plan)


def test_a_status_can_be_sent_to_another_process(store: Path, shell: Shell) -> None:
    with Store(store) as opened:
        status = opened.status()
    again = pickle.loads(pickle.dumps(status))
    assert again.plan == status.plan and repr(again) == repr(status)
    assert copy.deepcopy(status.plan) == status.plan


def test_a_store_says_what_it_is_also_when_it_is_closed(pushed_store: Path) -> None:
    store = Store(pushed_store)
    status = store.status()
    assert repr(store) == f"<Store {str(pushed_store)!r}, model {store.model_id}>"
    assert repr(status) == "<StatusReport: in sync>" and isinstance(status, StatusReport)
    assert "open" in _Page(_html(store)).text
    store.close()
    assert repr(store).endswith(", closed>") and "closed" in _Page(_html(store)).text


def test_the_key_is_in_no_table(shell: Shell, pushed_store: Path) -> None:
    key = shell.environ["ASTICA_API_KEY"]
    with Store(pushed_store) as store:
        for one in (store, store.status(), store.status().plan, store.samples(), store.versions(), store.settings):
            assert key not in repr(one)
        assert key not in _html(store)


def test_a_status_in_pandas_has_a_row_for_each_class(store: Path, shell: Shell) -> None:
    pytest.importorskip("pandas")
    with Store(store) as opened:
        status = opened.status()
        frame = status.to_pandas().set_index("class")
        assert frame["to upload"].to_dict() == {"Bottle": 2, "Can": 3}
        actions = status.plan.to_pandas()
        assert set(actions["action"]) == {"upload"} and sorted(actions["path"])[0] == "Bottle/000.png"


@pytest.mark.parametrize("broken", ["missing", "broken"])
def test_without_pandas_the_error_says_what_to_install(
    store: Path, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    with Store(store) as opened:
        status = opened.status()
        if broken == "missing":
            monkeypatch.setitem(sys.modules, "pandas", None)
            expected = "pandas, which is not installed"
        else:
            (tmp_path / "pandas.py").write_text("raise ImportError('numpy has another version')")
            monkeypatch.syspath_prepend(tmp_path)
            monkeypatch.delitem(sys.modules, "pandas", raising=False)
            expected = "pandas cannot be loaded"
        for call in (status.to_pandas, status.plan.to_pandas, opened.samples(status).to_pandas):
            with pytest.raises(ConfigError, match=expected) as caught:
                call()
            assert "pip install" in caught.value.hint
        assert opened.push().in_sync


def test_two_ways_of_progress_at_once_are_refused(store: Path, shell: Shell) -> None:
    from astica_sync.api import ProgressListener

    with pytest.raises(AsticaSyncError, match="listener and progress"):
        Store(store, listener=ProgressListener(), progress=print)
