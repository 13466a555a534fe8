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
    SOME_FAILED: "finished, but some samples failed; they are listed",
    REFUSED: "refused by a guard; nothing was removed",
    DIFFERENCES: "differences found (pull-status --exit-code)",
    INTERRUPTED: "interrupted; the state is saved",
    PIPE_CLOSED: "the reader of the output has ended, as head does; the rest was not printed",
}
