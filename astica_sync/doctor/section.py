"""One part of the report: facts by name, and what is odd."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from astica_sync.errors import AsticaSyncError
from astica_sync.system.error_advice import reason_of, remedy

FactValue = str | int | float | bool | None


class Level(StrEnum):
    """*problem*: commands fail or are refused until it is solved; *note*: they work, and may do what surprises."""

    PROBLEM = "problem"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """What is odd, and the command or setting that helps."""

    level: Level
    text: str
    hint: str = ""


@dataclass(slots=True)
class Section:
    """``facts`` in the order in which they are shown; None is a fact that could not be found."""

    title: str
    facts: dict[str, FactValue] = field(default_factory=dict)
    findings: list[CheckFinding] = field(default_factory=list)

    def problem(self, text: str, hint: str = "") -> None:
        self.findings.append(CheckFinding(Level.PROBLEM, text, hint))

    def problem_of(self, error: AsticaSyncError) -> None:
        self.problem(str(error), error.hint)

    def note(self, text: str, hint: str = "") -> None:
        self.findings.append(CheckFinding(Level.NOTE, text, hint))

    @contextlib.contextmanager
    def findings_of(self) -> Iterator[None]:
        """Makes a problem of what fails in the block, so that the rest of the report is there."""
        try:
            yield
        except AsticaSyncError as error:
            self.problem_of(error)
        except OSError as error:
            path = error.filename if isinstance(error.filename, str) else ""
            text = f"{path}: {reason_of(error)}" if path else reason_of(error)
            self.problem(text, remedy(error, path))
