"""The answers of an evaluation as a file: comma-separated values, or parquet."""

from collections.abc import Iterator
from pathlib import Path

import click

from astica_sync.cli.render.report_file import check_report_file, read_head
from astica_sync.cli.render.text import csv_line, json_name
from astica_sync.errors import AsticaSyncError
from astica_sync.local.target_folder import write_user_file
from astica_sync.system.optional_packages import require
from astica_sync.training.evaluation.evaluate import Evaluation
from astica_sync.training.evaluation.metrics import NO_ANSWER

COLUMNS = ("version", "path", "class", "output", "confidence", "right", "content")


def check_predictions_file(file: Path) -> None:
    """Checks before anything is sent that the file can be written in the format of its suffix.

    Raises:
        UsageError: its suffix is that of no format.
        ConfigError: the extra for parquet is not installed.
        AsticaSyncError: another file is there, or it would be one of a store's own records.
    """
    suffix = file.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise click.UsageError("--predictions writes a .csv or a .parquet file.")
    if suffix == ".parquet":
        require("pyarrow", "parquet")
    check_report_file(file, "--predictions", _is_of_answers)


def _is_of_answers(file: Path) -> bool:
    """Whether it is the file of an earlier evaluation, by its columns."""
    if file.suffix.lower() == ".csv":
        head = f"{csv_line(*COLUMNS)}\n".encode()
        return read_head(file, len(head)) == head
    import pyarrow
    from pyarrow import parquet

    try:
        return read_head(file, 4) == b"PAR1" and tuple(parquet.read_schema(file).names) == COLUMNS
    except (pyarrow.ArrowException, ValueError):
        return False


def write_predictions(file: Path, evaluation: Evaluation) -> None:
    """One row for each version and image that counts.

    Raises:
        AsticaSyncError: the file cannot be written, or another one is there.
    """
    check_predictions_file(file)
    data = _parquet(evaluation) if file.suffix.lower() == ".parquet" else _csv(evaluation)
    try:
        write_user_file(file, data, 0o600)
    except OSError as error:
        raise AsticaSyncError(
            f"cannot write {file}: {error.strerror}", "Write the answers to another file: --predictions FILE"
        ) from error


def _rows(evaluation: Evaluation) -> Iterator[tuple[str, str, str, str | None, float | None, bool, str]]:
    for measured in evaluation.measured:
        for one in measured.predictions:
            label = None if one.label == NO_ANSWER else one.label
            yield measured.version, json_name(one.name), one.truth, label, one.confidence, one.correct, one.content


def _csv(evaluation: Evaluation) -> bytes:
    lines = [csv_line(*COLUMNS), *(csv_line(*row) for row in _rows(evaluation))]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _parquet(evaluation: Evaluation) -> bytes:
    import pyarrow
    from pyarrow import parquet

    types = {"confidence": pyarrow.float64(), "right": pyarrow.bool_()}
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in COLUMNS])
    # A title of the service may have half a surrogate pair, which is no UTF-8.
    rows = [
        {
            name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
            for name, value in zip(COLUMNS, row, strict=True)
        }
        for row in _rows(evaluation)
    ]
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), sink)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]
