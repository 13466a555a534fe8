"""What all requests and answers of the page have in common."""

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response


class BadRequest(Exception):
    """The request cannot be carried out as it is; the message says why, ``hint`` what helps."""

    def __init__(self, message: str, hint: str = "Reload the page.") -> None:
        super().__init__(message)
        self.hint = hint


def answer_error(status: int, error: str, hint: str) -> Response:
    return JSONResponse({"error": error, "hint": hint}, status)


def answer_html(file: Path) -> Response:
    """A page of the browser, which an installation may be built without."""
    if not file.is_file():
        return answer_error(404, "this installation has no page", "Install it again: pip install 'astica-sync[page]'")
    return FileResponse(file, media_type="text/html")


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object that a request has as its body.

    Raises:
        BadRequest: it has another body.
        TooLong: it is too long.
    """
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise BadRequest("the body is no JSON: Content-Type is application/json")
    try:
        body = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        raise BadRequest("the body is no JSON") from None
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object")
    return body


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
