"""The JSON of the two documented reading calls: the list of models, and one model with all its samples.

SQLite writes the JSON of the samples itself, so that a view of 100,000 samples takes about a second.
"""

import json
from typing import Any

from astica_sync.sandbox.account import Account, NotFound
from astica_sync.sandbox.switches import Switches

# A row is in the view if it existed at the time ``then``, which is in the past while views lag.
_EXISTED = "{0}.created <= :then AND ({0}.removed IS NULL OR {0}.removed > :then)"

_MODEL = f"""
SELECT m.id, m.title, m.type, m.purpose, m.tags, m.created,
  (SELECT count(*) FROM classes c WHERE c.model_id = m.id AND {_EXISTED.format("c")}),
  (SELECT count(*) FROM classes c JOIN samples s ON s.class_id = c.id
   WHERE c.model_id = m.id AND {_EXISTED.format("c")} AND {_EXISTED.format("s")}),
  (SELECT total(s.size) FROM classes c JOIN samples s ON s.class_id = c.id
   WHERE c.model_id = m.id AND {_EXISTED.format("c")} AND {_EXISTED.format("s")}),
  v.name, v.finished
FROM models m LEFT JOIN versions v ON v.id =
  (SELECT max(id) FROM versions WHERE model_id = m.id AND state = 'ready')
"""  # noqa: S608

_CLASSES = f"""
SELECT c.id, c.title, c.created FROM classes c WHERE c.model_id = :model AND {_EXISTED.format("c")} ORDER BY c.id
"""  # noqa: S608

_SAMPLES = f"""
SELECT total(size), json_group_array(json_object(
  'id', CASE WHEN :as_text THEN CAST(id AS TEXT) ELSE id END, 'uid', uid,
  'size', round(size / 1e6, 6), 'date_created', CAST(CAST(created AS INTEGER) AS TEXT)))
FROM (SELECT * FROM samples s WHERE s.class_id = :class_id AND {_EXISTED.format("s")} ORDER BY s.id)
"""  # noqa: S608


def list_models(account: Account, switches: Switches) -> bytes:
    """The answer with every model of the account."""
    then = account.now() - switches.list_lag
    query = f"{_MODEL} WHERE {_EXISTED.format('m')} ORDER BY m.id"
    rows = account.rows(query, then=then)
    models = [_describe(row, switches) for row in rows]
    if switches.list_counts == "missing":
        for model in models:
            del model["numClass"], model["numSample"]
    return _write({"status": "OK", "astica": {"request": "dataset", "requestType": "list"}, "dataset_list": models})


def view_model(account: Account, model_id: int, switches: Switches) -> bytes:
    """The answer with one model and all its classes and samples.

    Raises:
        NotFound: no such model.
    """
    then = account.now() - switches.view_lag
    with account.change():  # one transaction, so that counts and lists agree
        rows = account.rows(f"{_MODEL} WHERE m.id = :model AND m.removed IS NULL", model=model_id, then=then)
        if not rows:
            raise NotFound("Model")
        classes: list[str] = []
        then -= switches.sample_list_lag
        for class_id, title, created in account.rows(_CLASSES, model=model_id, then=then):
            as_text = switches.integers == "string"
            ((size, samples),) = account.rows(_SAMPLES, class_id=class_id, then=then, as_text=as_text)
            head = {"id": _number(class_id, switches), "title": title, "date_created": _number(created, switches)}
            tail = {"totalSize": round(size / 1e6, 2)}
            classes.append(f'{_inner(head)}, "samples": {samples}, {_inner(tail)}')
    inner = _inner(_describe(rows[0], switches))
    whole = ",".join(f"{{{one}}}" for one in classes)
    start = '{"status": "OK", "astica": {"request": "dataset", "requestType": "view"}, "dataset": '
    return f'{start}{{{inner}, "class_list": [{whole}]}}}}'.encode()


def drop_samples(view: bytes) -> bytes:
    """The view without every second sample, but with the counts of the complete one."""
    answer = json.loads(view)
    for one in answer.get("dataset", {}).get("class_list", ()):
        one["samples"] = one["samples"][1::2]
    return _write(answer)


def _describe(row: tuple[Any, ...], switches: Switches) -> dict[str, Any]:
    model_id, title, kind, purpose, tags, created, classes, samples, size, version, finished = row
    model: dict[str, Any] = {
        "id": _number(model_id, switches),
        "title": title,
        "type": kind,
        "purpose": purpose,
        "tags": tags,
        "trained": _number(int(version is not None), switches),
        "model_version": version,
        "numClass": _number(classes, switches),
        "numSample": _number(samples, switches),
        "total_size": round(size / 1e6, 2),
        "date_trained": None if version is None else _number(finished, switches),
        "date_created": _number(created, switches),
    }
    if version is None and switches.untrained == "empty":
        model |= {"model_version": "", "date_trained": _number(0, switches)}
    elif version is None and switches.untrained == "missing":
        del model["trained"], model["model_version"], model["date_trained"]
    return model


def _number(value: float, switches: Switches) -> int | str:
    return str(int(value)) if switches.integers == "string" else int(value)


def _inner(values: dict[str, Any]) -> str:
    return json.dumps(values)[1:-1]


def _write(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode()
