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
from astica_sync.remote.http import Answer, NoAnswer
from astica_sync.remote.responses import parse_status
from astica_sync.secret import Secret

LONGEST_TEXT = 200
SETTLED = "What was sent is settled by the next view."
NOT_AGAIN = "Nothing was done. A refused sample is sent again when its bytes change, or by push --retry."

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
# A service that stumbled over itself may have done the work all the same.
_STUMBLE = re.compile(
    r"\binternal\b|server error|unavailable|try again|timed?[ -]?out|temporar|database|gateway|overload|\bbusy\b",
    re.IGNORECASE,
)


def classify(outcome: Answer | NoAnswer, *, host: str, key: Secret, now: float) -> RemoteError | None:
    """The error behind an exchange; None when the service said OK.

    Proof that nothing was done is asked for, never assumed: nothing was sent, the limit refused it, or a whole answer
    with status ERROR says so. Whatever else goes wrong after sending has an unknown outcome.

    Args:
        host: who was asked, for the message.
        key: hidden in what the service says, should it repeat it.
        now: seconds since the epoch, for a ``Retry-After`` that is a date.
    """
    if isinstance(outcome, NoAnswer):
        return _of_silence(outcome, host, key)
    status = parse_status(outcome.body)
    said = printable(status.error, key) if status else ""
    if outcome.status == 429 or (status and status.text == "ERROR" and _LIMIT.search(status.error)):
        wait = _retry_after(outcome.headers, now)
        return RateLimited(f"{host} refused a request for its limit", "Nothing was done; it is sent again.", wait)
    if 300 <= outcome.status < 400 or status is None or status.text not in ("OK", "ERROR"):
        return _of_stranger(outcome, host, key)
    if status.text == "OK":
        if 200 <= outcome.status < 300:
            return None
        return OutcomeUnknown(f"{host} answered OK under status {outcome.status}", SETTLED)
    if outcome.status == 401 or _KEY.search(status.error):
        return BadKey(
            f"{host} refused the API key: {said or 'no reason given'}",
            "Check ASTICA_API_KEY; keys are made on the service's web page.",
        )
    if _MODEL.search(status.error):
        return NoSuchModel(f"{host}: {said}", "See which models there are: astica-sync models")
    if _STUMBLE.search(status.error):
        return OutcomeUnknown(f"{host} failed: {said}", SETTLED)
    return Refused(f"{host}: {said or 'refused without a reason'}", NOT_AGAIN)


def printable(text: str, key: Secret | None = None) -> str:
    """A stranger's text made fit for a terminal: no control or direction characters, not long, and without the key."""
    if key is not None and key.reveal():
        text = text.replace(key.reveal(), "(the key)")
    shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text.strip())
    return shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…"


def _of_silence(silence: NoAnswer, host: str, key: Secret) -> RemoteError:
    why = printable(silence.why, key)
    if silence.sent:
        return OutcomeUnknown(f"no whole answer from {host}: {why}", SETTLED)
    return Unreachable(f"{host} cannot be reached: {why}", "Nothing was sent. Check the network and the address.")


def _of_stranger(answer: Answer, host: str, key: Secret) -> RemoteError:
    """An answer that does not speak the service's language."""
    if 300 <= answer.status < 400:
        target = printable(answer.headers.get("location", "nowhere"), key)
        return NotTheService(
            f"{host} redirects to {target}", "The key goes to no other address: correct the address in the settings."
        )
    if answer.status in (401, 403, 407, 451):
        return NotTheService(
            f"{host} answered {answer.status} without the service's JSON",
            "A proxy or firewall may stand in between; or the address is not the service's.",
        )
    if 400 <= answer.status < 500 and answer.status not in (408, 409, 425):
        return Refused(f"{host} answered {answer.status} without a reason", NOT_AGAIN)
    if answer.status >= 500:
        return OutcomeUnknown(f"{host} answered {answer.status}", SETTLED)
    page = answer.body[:200].lstrip()[:1] == b"<"
    return OutcomeUnknown(
        f"{host} answered {'a web page' if page else 'something'} that is not the service's JSON",
        "Is there a login page or a proxy in between?" if page else "Is this the address of the service?",
    )


def _retry_after(headers: dict[str, str], now: float) -> float | None:
    """The seconds of ``Retry-After`` (RFC 9110, section 10.2.3): a number, or a date, which the service's own
    ``Date`` turns into a number whatever this machine's clock says."""
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
