"""Logs of a probe, made by hand: the answers of a service with the habits that a test names."""

from collections.abc import Mapping
from typing import Any

from astica_sync.core.service_facts.fact import Fact
from astica_sync.core.service_facts.judge import judge
from astica_sync.core.service_facts.probe_log import Exchange, ProbeLog
from astica_sync.core.service_facts.probe_uploads import BASIC, FIRST, TRAINING, uid_for

TOKEN = "0123456789ab"
OK: Mapping[str, Any] = {"status": "OK"}
UPLOADS = {upload.name: upload for upload in (FIRST, *BASIC, *TRAINING)}


def error(text: str) -> dict[str, Any]:
    return {"status": "ERROR", "error": text}


def uid(name: str) -> str:
    return uid_for(TOKEN, UPLOADS[name])


def sent(name: str, size: int = 7028, at: float = 0.0) -> Exchange:
    """An upload that was served; it took a tenth of a second."""
    return Exchange(name, "/model/upload", at, at + 0.1, 200, {}, OK, "", size)


def refused(
    step: str, text: str, status: int = 200, taken_as: str = "Refused", path: str = "/model/upload"
) -> Exchange:
    return Exchange(step, path, status=status, body=error(text), taken_as=taken_as)


def lost(step: str, path: str = "/model/upload") -> Exchange:
    return Exchange(step, path, taken_as="OutcomeUnknown")


def sample(name: str, number: int = 1, size: object = 0.007028, **fields: object) -> dict[str, Any]:
    return {"id": number, "uid": uid(name), "size": size, **fields}


def dataset(classes: Mapping[str, list[dict[str, Any]]], **fields: object) -> dict[str, Any]:
    """The body of a view; classes have the ids 1, 2 and so on."""
    listed = [
        {"id": number, "title": title, "samples": samples} for number, (title, samples) in enumerate(classes.items(), 1)
    ]
    count = sum(map(len, classes.values()))
    return {"status": "OK", "dataset": {"id": 1001, "numSample": count, "class_list": listed, **fields}}


def view(step: str, body: dict[str, Any], at: float = 0.2) -> Exchange:
    """A view that took a tenth of a second."""
    return Exchange(step, "/model/view", at, at + 0.1, 200, {}, body)


def fact(name: str, *exchanges: Exchange) -> Fact:
    """One fact of a log."""
    return judge(ProbeLog(exchanges), TOKEN)[name]


def value(name: str, *exchanges: Exchange) -> object:
    return fact(name, *exchanges).value
