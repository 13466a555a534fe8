"""What all answers of the page have in common."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class BadRequest(Exception):
    """The request cannot be understood; the message says why."""


def answer_error(status: int, error: str, hint: str) -> Response:
    return JSONResponse({"error": error, "hint": hint}, status)


def number_of(request: Request, name: str, least: int, most: int, usual: int = 0) -> int:
    """A whole number of the query, within bounds.

    Raises:
        BadRequest: it is no number.
    """
    text = request.query_params.get(name)
    if text is None:
        return usual
    if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 18:
        raise BadRequest(f"{name} is not a number: {text[:40]!r}")
    return max(least, min(int(text), most))
