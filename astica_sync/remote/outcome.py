"""What a failed exchange proves: the one place where a failure becomes one of the program's errors (promise 5)."""

import re
from collections.abc import Collection
from email.utils import parsedate_to_datetime
from enum import StrEnum

from astica_sync.core.failure_remedy import SMALLER, is_over_a_limit
from astica_sync.errors import (
    BadKey,
    NoSuchModel,
    NotTheService,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Refused,
    RemoteError,
    Unreachable,
)
from astica_sync.remote.http_exchange import Answer, NoAnswer
from astica_sync.remote.remove_echoes import LONGEST_READ, plain, without_echoes, without_key
from astica_sync.remote.responses import Status, parse_status
from astica_sync.secret import Secret

LONGEST_TEXT = 200
TOO_LARGE = 413
CHECKED_NEXT = "The service may have carried out the request. Run the same command again: it checks the model first."
NOT_REPEATED = "Nothing was changed. A refused sample is uploaded again when its file changes, or with push --retry."


class _Topic(StrEnum):
    """What an error of the service is about."""

    QUOTA = "quota"
    RATE = "rate"
    KEY = "key"
    MODEL = "model"
    TROUBLE = "trouble"


# The texts below are read as ``plain`` writes them: small letters, single spaces, no hyphens or underscores.
_LONG_PERIOD = r"(daily|weekly|monthly|yearly|annual|(per|each|this|a) (day|week|month|year)|for today|billing period)"
_TOPICS = (
    (
        _Topic.QUOTA,
        re.compile(
            rf"\b{_LONG_PERIOD}\b.{{0,60}}\b(limit|quota|allowance|exceed|exhaust|reach|used up|requests)"
            rf"|\b(limit|quota|allowance|exceed|exhaust|reach|used up|requests)\w*\b.{{0,60}}\b{_LONG_PERIOD}\b"
            r"|\bquota\b(?!.{0,60}\bper (second|minute|hour)\b)"
            r"|\b(insufficient|no|not enough|out of|run out of|ran out of)( \w+){0,2} (credits?|funds|balance)\b"
            r"|\b(credits?|balance|funds)\b.{0,20}\b(exhausted|used up|insufficient|too low|depleted)\b"
            r"|\bpayment (is )?(required|overdue|failed)\b"
            r"|\b(subscription|trial)\b.{0,30}\b(expired|ended|over)\b"
            r"|\bupgrade (your|to a|the) \w*\s?plan\b"
        ),
    ),
    (
        _Topic.RATE,
        re.compile(
            r"\brate ?limit|\btoo many requests|\bthrottl|\bslow down\b"
            r"|\brequests?\b.{0,30}\b(limit|exceed)|\b(limit|exceed)\w*\b.{0,30}\b(requests\b|per (second|minute|hour))"
        ),
    ),
    (
        _Topic.KEY,
        re.compile(
            r"\bunauthori[sz]ed\b|(\bapi ?key|\btkn|\btoken|\bcredentials?)\b.{0,40}\b"
            r"(invalid|wrong|unknown|missing|required|expired|revoked|incorrect|denied|disabled|inactive|not)\b"
            r"|\b(invalid|wrong|unknown|missing|expired|revoked|incorrect|no|disabled|inactive)\b.{0,20}"
            r"(\bapi ?key|\btkn|\btoken|\bcredentials?)\b"
        ),
    ),
    (
        _Topic.MODEL,
        re.compile(
            r"^\W*(the |this |your |error:? )*(model|dataset)( id)?\b(?! version)[^.]{0,30}"
            r"(not found|n[o']t exist|unknown|invalid|deleted|removed)"
            r"|\b(unknown|invalid|no such|no) (model|dataset)( id)?\b(?! (version|class|title|type))"
        ),
    ),
    # After an internal error, the service may have done the work all the same.
    (
        _Topic.TROUBLE,
        re.compile(
            r"\binternal\b|\bserver error\b|\bunavailable\b|\btry again\b|\btimed? ?out\b|\btemporar|\bdatabase\b"
            r"|\bgateway\b|\boverload|\bbusy\b"
        ),
    ),
)
# A whole sentence of a service's own. A class "Limit" does not make "Rate limit exceeded" unreadable.
_SENTENCE = re.compile(
    r"(rate limit|request limit|limit of \d+ requests( per minute)?) (is |was |has been )?(exceeded|reached)"
    r"|too many requests"
    r"|(invalid|unknown|missing|wrong|incorrect) (api ?key|token|tkn)"
    r"|(api ?key|token|tkn) (is )?(invalid|unknown|missing)"
    r"|unauthori[sz]ed|(the )?(model|dataset)( id)? (is |was )?(not found|unknown|invalid|does not exist)"
    r"|internal( server)? error|server error|service (temporarily )?unavailable"
)
_CLAUSE_ENDS = re.compile(r"[.,:;!()]")
_BY_STATUS = {401: _Topic.KEY, 402: _Topic.QUOTA, 429: _Topic.RATE}


def classify(
    answer: Answer | NoAnswer, *, host: str, key: Secret, now: float, sent: Collection[str] = ()
) -> RemoteError | None:
    """The error that an exchange ended with; None when the service answered OK.

    "Nothing was done" needs proof: nothing was sent, the rate limit refused the request, or a complete answer has the
    status ERROR. After anything else the outcome is unknown. Statuses and codes are read before texts, and texts
    without what was sent.

    Args:
        host: the address of the service, for the message.
        key: removed from texts of the service, should one repeat it.
        now: seconds since the epoch, for a ``Retry-After`` that is a date.
        sent: the texts that were sent and those that the service knows, such as class titles.
    """
    if isinstance(answer, NoAnswer):
        return _from_no_answer(answer, host, key)
    status = parse_status(answer.body)
    if 300 <= answer.status < 400:
        return _from_unexpected_answer(answer, host, key)
    if status is None or status.text != "ERROR":
        if answer.status in (402, 429):
            return _from_topic(_BY_STATUS[answer.status], answer, host, "", now)
        if status is None or status.text != "OK":
            return _from_unexpected_answer(answer, host, key)
        if 200 <= answer.status < 300:
            return None
        return OutcomeUnknown(f"{host} answered OK with HTTP status {answer.status}", CHECKED_NEXT)
    topic = _topic_of(answer.status, status, (*sent, key.reveal()))
    return _from_topic(topic, answer, host, printable(status.error, key), now)


def _topic_of(http_status: int, status: Status, sent: Collection[str]) -> _Topic | None:
    """What the error is about, by the HTTP status, then the code in the answer, then the service's own words."""
    own = _own_words(status.error, sent)
    code = plain(status.code)
    for number in (http_status, int(code) if code.isascii() and code.isdecimal() and len(code) == 3 else 0):
        topic = _BY_STATUS.get(number)
        if topic is _Topic.RATE and (_find_topic(code) or _find_topic(own)) is _Topic.QUOTA:
            return _Topic.QUOTA
        if topic is not None:
            return topic
    return _find_topic(code) or _find_topic(own)


def _own_words(text: str, sent: Collection[str]) -> str:
    whole = plain(text)
    clause = _CLAUSE_ENDS.split(whole)[0].strip()
    if _SENTENCE.fullmatch(clause) and clause not in {plain(value) for value in sent}:
        return whole
    return without_echoes(text, sent)


def _find_topic(text: str) -> _Topic | None:
    return next((topic for topic, pattern in _TOPICS if pattern.search(text)), None)


def _from_topic(topic: _Topic | None, answer: Answer, host: str, reason: str, now: float) -> RemoteError:
    match topic:
        case _Topic.RATE:
            return RateLimited(
                f"{host} refused a request because of its rate limit",
                "This request changed nothing; it is sent again after a pause.",
                _retry_after(answer.headers, now),
            )
        case _Topic.QUOTA:
            return QuotaExceeded(
                f"{host} refused a request because of the account's quota: {reason or 'no reason given'}",
                "This request changed nothing. See the account's plan on the service's web page; the same command goes "
                "on once the account may send requests again. Known without a request: astica-sync status --offline",
            )
        case _Topic.KEY:
            return BadKey(
                f"{host} refused the API key: {reason or 'no reason given'}",
                "Check ASTICA_API_KEY; keys are made on the service's web page.",
                host,
            )
        case _Topic.MODEL:
            return NoSuchModel(f"{host}: {reason}", "List the models of the account: astica-sync models")
        case _Topic.TROUBLE:
            return OutcomeUnknown(f"{host} failed: {reason}", CHECKED_NEXT)
        case None:
            said = f"{host} answered {TOO_LARGE}" if answer.status == TOO_LARGE else host
            return _refused(f"{said}: {reason or 'refused without a reason'}")


def _refused(text: str) -> Refused:
    if is_over_a_limit(text):
        return Refused(text, f"Nothing was changed. The same image is refused again: {SMALLER}.")
    return Refused(text, NOT_REPEATED)


def printable(text: str, key: Secret | None = None) -> str:
    """A text of the service made safe for a terminal: without control and direction characters, shortened, and
    without the key."""
    text = text[:LONGEST_READ]
    if key is not None:
        text = without_key(text, key.reveal())
    escaped = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text.strip())
    return escaped if len(escaped) <= LONGEST_TEXT else escaped[: LONGEST_TEXT - 1] + "…"


def _from_no_answer(answer: NoAnswer, host: str, key: Secret) -> RemoteError:
    reason = printable(answer.reason, key)
    if answer.sent:
        return OutcomeUnknown(f"no complete answer from {host}: {reason}", CHECKED_NEXT)
    if answer.advice:
        return Unreachable(f"{host} cannot be reached: {reason}", f"Nothing was sent: {answer.advice}.")
    if "certificate" in answer.reason.lower():
        return Unreachable(
            f"{host} cannot be reached: {reason}",
            "Nothing was sent. Check the clock with date; where a proxy opens connections, set SSL_CERT_FILE to its "
            "certificate.",
        )
    if "(through the proxy" in answer.reason:
        return Unreachable(
            f"{host} cannot be reached: {reason}",
            "Nothing was sent. Check that the proxy runs and allows this host, or name the host in NO_PROXY.",
        )
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
        return _refused(f"{host} answered {answer.status} without a reason")
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
