"""What a failed exchange proves: the one place where a failure becomes one of the program's errors (promise 5)."""

import re
from email.utils import parsedate_to_datetime

from astica_sync.errors import (
    BadKey,
    NoSuchModel,
    NotTheService,
    OutcomeUnknown,
    RateLimited,
    Refused,
    RemoteError,
    Unreachable,
)
from astica_sync.remote.http_exchange import Answer, NoAnswer
from astica_sync.remote.responses import parse_status
from astica_sync.secret import Secret

LONGEST_TEXT = 200
CHECKED_NEXT = "The service may have carried out the request. Run the same command again: it checks the model first."
NOT_REPEATED = "Nothing was changed. A refused sample is uploaded again when its file changes, or with push --retry."

_LIMIT = re.compile(
    r"\brate[ -]?limit|too many requests|throttl|slow down"
    r"|\brequests?\b.{0,30}\b(limit|exceed)|\b(limit|exceed)\w*\b.{0,30}\b(requests\b|per (second|minute|hour))",
    re.IGNORECASE | re.DOTALL,
)
_KEY = re.compile(
    r"\bunauthori[sz]ed\b|(\bapi[ _-]?key|\btkn|\btoken|\bcredentials?)\b.{0,40}\b"
    r"(invalid|wrong|unknown|missing|required|expired|revoked|incorrect|denied|disabled|inactive|not)\b"
    r"|\b(invalid|wrong|unknown|missing|expired|revoked|incorrect|no|disabled|inactive)\b.{0,20}"
    r"(\bapi[ _-]?key|\btkn|\btoken|\bcredentials?)\b",
    re.IGNORECASE | re.DOTALL,
)
_MODEL = re.compile(
    r"^\W*(the |this |your |error:? )*(model|dataset)(_id| id)?\b(?! version)[^.]{0,30}"
    r"(not found|n[o']t exist|unknown|invalid|deleted|removed)"
    r"|\b(unknown|invalid|no such|no) (model|dataset)(_id| id)?\b(?![ _](version|class|title|type))",
    re.IGNORECASE,
)
# After an internal error, the service may have done the work all the same.
_INTERNAL_ERROR = re.compile(
    r"\binternal\b|server error|unavailable|try again|timed?[ -]?out|temporar|database|gateway|overload|\bbusy\b",
    re.IGNORECASE,
)


def classify(answer: Answer | NoAnswer, *, host: str, key: Secret, now: float) -> RemoteError | None:
    """The error that an exchange ended with; None when the service answered OK.

    "Nothing was done" needs proof: nothing was sent, the rate limit refused the request, or a complete answer has the
    status ERROR. After anything else the outcome is unknown.

    Args:
        host: the address of the service, for the message.
        key: removed from texts of the service, should one repeat it.
        now: seconds since the epoch, for a ``Retry-After`` that is a date.
    """
    if isinstance(answer, NoAnswer):
        return _from_no_answer(answer, host, key)
    status = parse_status(answer.body)
    reason = printable(status.error, key) if status else ""
    if answer.status == 429 or (status and status.text == "ERROR" and _LIMIT.search(status.error)):
        wait = _retry_after(answer.headers, now)
        return RateLimited(
            f"{host} refused a request because of its rate limit",
            "Nothing was changed; the request is sent again after a pause.",
            wait,
        )
    if 300 <= answer.status < 400 or status is None or status.text not in ("OK", "ERROR"):
        return _from_unexpected_answer(answer, host, key)
    if status.text == "OK":
        if 200 <= answer.status < 300:
            return None
        return OutcomeUnknown(f"{host} answered OK with HTTP status {answer.status}", CHECKED_NEXT)
    if answer.status == 401 or _KEY.search(status.error):
        return BadKey(
            f"{host} refused the API key: {reason or 'no reason given'}",
            "Check ASTICA_API_KEY; keys are made on the service's web page.",
        )
    if _MODEL.search(status.error):
        return NoSuchModel(f"{host}: {reason}", "List the models of the account: astica-sync models")
    if _INTERNAL_ERROR.search(status.error):
        return OutcomeUnknown(f"{host} failed: {reason}", CHECKED_NEXT)
    return Refused(f"{host}: {reason or 'refused without a reason'}", NOT_REPEATED)


def printable(text: str, key: Secret | None = None) -> str:
    """A text of the service made safe for a terminal: without control and direction characters, shortened, and
    without the key."""
    if key is not None and key.reveal():
        text = text.replace(key.reveal(), "(the key)")
    escaped = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text.strip())
    return escaped if len(escaped) <= LONGEST_TEXT else escaped[: LONGEST_TEXT - 1] + "…"


def _from_no_answer(answer: NoAnswer, host: str, key: Secret) -> RemoteError:
    reason = printable(answer.reason, key)
    if answer.sent:
        return OutcomeUnknown(f"no complete answer from {host}: {reason}", CHECKED_NEXT)
    return Unreachable(
        f"{host} cannot be reached: {reason}",
        "Nothing was sent. Check the network and the address (settings train_url and detect_url).",
    )


def _from_unexpected_answer(answer: Answer, host: str, key: Secret) -> RemoteError:
    """An answer that is not the service's JSON."""
    if 300 <= answer.status < 400:
        target = printable(answer.headers.get("location", "nowhere"), key)
        return NotTheService(
            f"{host} redirects to {target}",
            "The key is not sent there. If the service has moved, change the settings train_url and detect_url.",
        )
    if answer.status in (401, 403, 407, 451):
        return NotTheService(
            f"{host} answered {answer.status} without the service's JSON",
            "A proxy or a firewall may have answered, or the settings train_url and detect_url are wrong.",
        )
    if 400 <= answer.status < 500 and answer.status not in (408, 409, 425):
        return Refused(f"{host} answered {answer.status} without a reason", NOT_REPEATED)
    if answer.status >= 500:
        return OutcomeUnknown(f"{host} answered {answer.status}", CHECKED_NEXT)
    if answer.body[:200].lstrip()[:1] == b"<":
        return OutcomeUnknown(
            f"{host} answered with a web page instead of the service's JSON",
            "A login page or a proxy may have answered: open the address in a browser.",
        )
    return OutcomeUnknown(
        f"{host} answered with something other than the service's JSON",
        "Check the settings train_url and detect_url.",
    )


def _retry_after(headers: dict[str, str], now: float) -> float | None:
    """The seconds of ``Retry-After`` (RFC 9110, section 10.2.3): a number, or a date, which the service's own
    ``Date`` turns into a number independent of this machine's clock."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    until = _date(text)
    if until is None:
        return None
    return max(0.0, until - (_date(headers.get("date", "")) or now))


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
