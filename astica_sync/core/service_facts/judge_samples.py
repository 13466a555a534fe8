"""Facts about uids, sizes and images, from the views of the probe's model."""

from collections.abc import Callable

from astica_sync.core.service_facts.fact import ALL_OF_IT, Fact, not_asked, unknown
from astica_sync.core.service_facts.judge_answers import NOT_TRIED
from astica_sync.core.service_facts.probe_log import Exchange, ProbeLog, ProbeStep
from astica_sync.core.service_facts.probe_uploads import (
    BASIC,
    FIRST,
    LARGE,
    LONELY_TITLE,
    SAFE_UID,
    ProbeUpload,
    uid_for,
)
from astica_sync.core.service_facts.read_answer import ShownModel, ShownSample, read_view

NOT_SHOWN = "the upload was not shown"
_MEGABYTES = (1_000_000, 1 << 20)
_MOST_DECIMALS, _TELLING_DECIMALS = 9, 4
_FETCHING = ("fetch", "download", "reach", "connect", "timed out", "timeout", "resolve")
_UPLOADS = {upload.name: upload for upload in (FIRST, *BASIC, *LARGE)}


def last_view(log: ProbeLog, step: str = ProbeStep.SETTLED) -> ShownModel | None:
    """The last view of a step that lists as many samples as it counts."""
    views = [view for one in log.all_of(step) if (view := read_view(one.body)) and view.is_settled]
    return views[-1] if views else None


def first_shown(log: ProbeLog) -> ShownModel | None:
    """The first view with a sample: that of the first upload."""
    views = (read_view(one.body) for one in log.all_of(ProbeStep.FIRST_VIEW))
    return next((view for view in views if view and view.samples), None)


def sample_of(log: ProbeLog, token: str, name: str) -> ShownSample | None:
    """The sample of an upload in the settled view; None where there is none, or several."""
    view = last_view(log)
    found = view.find(uid_for(token, _UPLOADS[name])) if view else []
    return found[0] if len(found) == 1 else None


def judge_uid_length(log: ProbeLog, token: str) -> Fact:
    view = first_shown(log)
    if view is None:
        return unknown(NOT_SHOWN)
    uid, shown = uid_for(token, FIRST), view.samples[0].uid
    if shown == uid:
        return Fact(ALL_OF_IT, f"a uid of {len(uid)} characters came back whole")
    if shown and uid.startswith(shown):
        return Fact(len(shown), f"of {len(uid)}; the rest is cut off")
    return Fact(0, f"the uid came back as {shown!r}")


def why_not_go_on(log: ProbeLog, token: str) -> str:
    """Why nothing more can be uploaded after the first image, "" where it can: only where uids are kept long enough, no
    other upload can be taken for another sample of the account."""
    kept = judge_uid_length(log, token)
    if kept.value is None:
        return "the first upload is not shown"
    if kept.value == ALL_OF_IT or (isinstance(kept.value, int) and kept.value >= SAFE_UID):
        return ""
    return f"uids are not kept ({kept.note})"


def judge_repeated_uids(log: ProbeLog, token: str) -> Fact:
    first, repeated = log.last("again"), log.last("repeated")
    if repeated is None:
        return unknown(NOT_TRIED)
    if first is None or not first.served:
        return unknown("the first upload of the two was not served")
    if repeated.is_error:
        return Fact("refuse", repeated.error_text)
    view = last_view(log)
    samples = view.find(uid_for(token, _UPLOADS["again"])) if view else []
    if not repeated.served or not samples:
        return unknown(NOT_SHOWN)
    if len(samples) > 1:
        return Fact("allow", f"{len(samples)} samples have the uid afterwards")
    between = sample_of(log, token, "alone") or sample_of(log, token, "other form")
    earlier = between is not None and samples[0].sample_id < between.sample_id
    size = samples[0].size
    if size is not None and shows_size(size, repeated.sent_bytes) != shows_size(size, first.sent_bytes):
        return _one_left(is_first=bool(shows_size(size, first.sent_bytes)))
    return _one_left(is_first=earlier)


def _one_left(*, is_first: bool) -> Fact:
    if is_first:
        return Fact("ignore", "answered OK, and the first sample stayed as it was")
    return Fact("replace", "one sample has the uid afterwards, the second one")


def shows_size(size: float, sent_bytes: int) -> int:
    """How many decimals of a size in megabytes are those of so many bytes; 0 where it is another size."""
    return next(
        (
            decimals
            for decimals in range(_MOST_DECIMALS, 1, -1)
            for unit in _MEGABYTES
            if abs(size - round(sent_bytes / unit, decimals)) < 10 ** -(decimals + 1)
        ),
        0,
    )


def judge_sizes(log: ProbeLog, token: str) -> Fact:
    sent, sample = log.last(FIRST.name), first_shown(log)
    del token
    if sent is None or sample is None:
        return unknown(NOT_SHOWN)
    size = sample.samples[0].size
    if size is None:
        return Fact("missing", "a view shows no sizes")
    note = f"{sent.sent_bytes} bytes are shown as {size:g} MB"
    decimals = shows_size(size, sent.sent_bytes)
    if decimals >= _TELLING_DECIMALS:
        return Fact("as sent", note)
    return Fact("rounded" if decimals else "changed", note)


def judge_tagged_jpeg(log: ProbeLog, token: str) -> Fact:
    """An image cannot be downloaded, so only its size tells what became of it."""
    sent = log.last("tagged")
    outcome = _outcome(sent)
    if sent is None or outcome.value != "accepted":
        return outcome
    sample = sample_of(log, token, "tagged")
    if sample is None or sample.size is None:
        return unknown("accepted; no size is shown, so what became of it cannot be seen")
    note = f"{sent.sent_bytes} bytes are shown as {sample.size:g} MB"
    if shows_size(sample.size, sent.sent_bytes) >= _TELLING_DECIMALS:
        return Fact("kept", note)
    return Fact("changed", f"{note}: it is stored as another file")


def judge_image(name: str) -> Callable[[ProbeLog, str], Fact]:
    """The rule for whether an image is taken."""

    def rule(log: ProbeLog, token: str) -> Fact:
        del token
        return _outcome(log.last(name))

    return rule


def _outcome(sent: Exchange | None) -> Fact:
    if sent is None:
        return unknown(NOT_TRIED)
    if sent.served:
        return Fact("accepted")
    if sent.is_error or (sent.status is not None and 400 <= sent.status < 500):
        return Fact("refused", f"HTTP status {sent.status}, {sent.error_text or 'no text'}")
    return unknown("no answer came" if sent.status is None else f"HTTP status {sent.status}")


def judge_largest_image(log: ProbeLog, token: str) -> Fact:
    del token
    tried = [(upload, log.last(upload.name)) for upload in LARGE]
    if tried[0][1] is None:
        return not_asked("large")
    for upload, sent in tried:
        if sent is not None and sent.served:
            return Fact(sent.sent_bytes, f"an image of {upload.name} was accepted" + _refused_before(tried, upload))
    if all(_outcome(sent).value == "refused" for _, sent in tried):
        return Fact(0, f"an image of {tried[-1][0].name} was refused")
    return unknown("no answer came")


def _refused_before(tried: list[tuple[ProbeUpload, Exchange | None]], accepted: ProbeUpload) -> str:
    before = [upload.name for upload, _ in tried[: tried.index(next(one for one in tried if one[0] is accepted))]]
    return f", one of {before[-1]} was not" if before else ""


def judge_urls(log: ProbeLog, token: str) -> Fact:
    sent = log.last("url")
    outcome = _outcome(sent)
    if sent is None or outcome.value is None:
        return outcome
    if outcome.value == "refused":
        if any(word in sent.error_text.lower() for word in _FETCHING):
            return unknown(f"the service tried to fetch the image and could not: {sent.error_text}")
        return outcome
    if sample_of(log, token, "url") is None:
        return unknown("answered OK, and no sample was shown")
    return Fact("fetched")


def judge_empty_class(log: ProbeLog, token: str) -> Fact:
    removed = log.last(ProbeStep.REMOVE_SAMPLE)
    if removed is None or not removed.served:
        return unknown(NOT_TRIED if removed is None else "the only sample of a class could not be removed")
    view = last_view(log, ProbeStep.AFTER_REMOVAL)
    if view is None or view.find(uid_for(token, _UPLOADS["alone"])):
        return unknown("the removal was not shown")
    stays = any(title == LONELY_TITLE for _, title in view.classes)
    return Fact("stays" if stays else "goes")
