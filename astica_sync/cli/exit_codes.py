"""The exit codes, each with its meaning."""

DONE = 0
ERROR = 1
USAGE = 2
SOME_FAILED = 3
REFUSED = 4
DIFFERENCES = 5
INTERRUPTED = 130
PIPE_CLOSED = 141

EXIT_CODES = {
    DONE: "done",
    ERROR: "error; the message says what to do",
    USAGE: "wrong usage",
    SOME_FAILED: "finished, but some samples or files failed; they are listed",
    REFUSED: "refused by a guard: what it names was not done (removals, an import, a new store)",
    DIFFERENCES: "differences found (pull-status --exit-code)",
    INTERRUPTED: "interrupted; the state is saved",
    PIPE_CLOSED: "the reader of the output has ended, as head does; the rest was not printed",
}


def exit_code_in_part(done: int, failed: int) -> int:
    """The exit code of a command that did so many of its parts, or found them done, while so many failed."""
    if not failed:
        return DONE
    return SOME_FAILED if done else ERROR
