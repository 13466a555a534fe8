"""The documented calls, one function each: from the fields of a request to the body of an answer."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from astica_sync.sandbox import image_input
from astica_sync.sandbox.account import Account, NotFound, UidTaken
from astica_sync.sandbox.http import model_views
from astica_sync.sandbox.switches import Switches
from astica_sync.sandbox.training.trainer import BackgroundTrainer, CannotTrain

RequestFields = Mapping[str, Any]

PATHS = {
    "/model/create": "create",
    "/model/list": "list",
    "/model/view": "view",
    "/model/upload": "upload",
    "/model/model_train": "model_train",
    "/model/sample_remove": "sample_remove",
    "/model/class_remove": "class_remove",
    "/model/model_remove": "model_remove",
    "/detect": "detect",
}

OK = b'{"status": "OK"}'


class ErrorAnswer(Exception):
    """An answer with status ERROR: its text, and its HTTP status where errors have their own status."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class CallHandler:
    """Carries out the calls of a client with the right key; ``key`` and ``switches`` may be changed at any time."""

    def __init__(self, account: Account, trainer: BackgroundTrainer, key: str, switches: Switches) -> None:
        self.account = account
        self.trainer = trainer
        self.switches = switches
        self.key = key
        # A decoded image is large: four at a time use all processors and little memory.
        self._decoding = threading.BoundedSemaphore(4)
        self._calls: dict[str, Callable[[RequestFields], bytes]] = {
            "create": self._create,
            "list": self._list,
            "view": self._view,
            "upload": self._upload,
            "model_train": self._train,
            "sample_remove": self._remove_sample,
            "class_remove": self._remove_class,
            "model_remove": self._remove_model,
            "detect": self._detect,
        }

    def answer(self, call: str, fields: RequestFields) -> bytes:
        """The body of the answer with status OK.

        Raises:
            ErrorAnswer: the answer has the status ERROR.
        """
        if fields.get("tkn") != self.key:
            raise ErrorAnswer("Invalid API key", 401)
        try:
            return self._calls[call](fields)
        except NotFound as error:
            raise ErrorAnswer(f"{error} not found", 404) from None
        except UidTaken:
            raise ErrorAnswer("A sample with this uid already exists", 409) from None
        except CannotTrain as error:
            raise ErrorAnswer(str(error), 409) from None
        except image_input.NotAnImage:
            raise ErrorAnswer(self.switches.invalid_image, 400) from None
        except image_input.BadInput as error:
            raise ErrorAnswer(str(error), 413 if error.too_large else 400) from None

    def _create(self, fields: RequestFields) -> bytes:
        title = _text(fields, "dataset_title", required=True)
        kind = _text(fields, "dataset_type", required=True)
        purpose = _text(fields, "dataset_purpose", required=True)
        self.account.add_model(title, kind, purpose, _text(fields, "dataset_tags"))
        return OK

    def _list(self, fields: RequestFields) -> bytes:
        del fields
        if self.switches.model_list == "unknown":
            raise ErrorAnswer("Unknown endpoint", 404)
        return model_views.list_models(self.account, self.switches)

    def _view(self, fields: RequestFields) -> bytes:
        model_id = _optional_id(fields, "model_id")
        if model_id is None:
            return model_views.list_models(self.account, self.switches)
        return model_views.view_model(self.account, model_id, self.switches)

    def _upload(self, fields: RequestFields) -> bytes:
        model_id = _id(fields, "model_id")
        title = _text(fields, "model_class", required=True)
        uid = _text(fields, "uid")
        if not self.account.has_model(model_id):
            raise NotFound("Model")
        content = self._read_image(fields)
        with self._decoding:
            image_input.open_image(content, self.switches.largest_side)
        self.account.add_sample(model_id, title, uid, content, self.switches)
        return OK

    def _train(self, fields: RequestFields) -> bytes:
        self.trainer.start(_id(fields, "model_id"), self.switches)
        return OK

    def _remove_sample(self, fields: RequestFields) -> bytes:
        sample_id = _optional_id(fields, "sample_id")
        if sample_id is not None:
            self.account.remove_samples([sample_id], self.switches)
            return OK
        uid = _text(fields, "sample_uid")
        if not uid:
            raise ErrorAnswer("Missing sample_id or sample_uid")
        sample_ids = self.account.ids_of_uid(uid[: self.switches.uid_length])
        if not sample_ids:
            raise NotFound("Sample")
        self.account.remove_samples(sample_ids, self.switches)
        return OK

    def _remove_class(self, fields: RequestFields) -> bytes:
        self.account.remove_class(_id(fields, "class_id"))
        return OK

    def _remove_model(self, fields: RequestFields) -> bytes:
        self.account.remove_model(_id(fields, "model_id"))
        return OK

    def _detect(self, fields: RequestFields) -> bytes:
        model_id = _id(fields, "model_id")
        version = _text(fields, "model_version", required=True)
        if not self.account.has_model(model_id):
            raise NotFound("Model")
        content = self._read_image(fields)
        with self._decoding:
            turned = self.switches.orientation == "turned"
            image = image_input.open_image(content, self.switches.largest_side, turned=turned)
            label, share = self.trainer.detect(model_id, version, image)
        percent = round(share * 100, 2)
        written: dict[str, object] = {
            "string": f"{percent:g}",
            "number": percent,
            "percent": f"{percent:g}%",
        }
        return json.dumps({"status": "OK", "output": label, "confidence": written[self.switches.confidence]}).encode()

    def _read_image(self, fields: RequestFields) -> bytes:
        text = _text(fields, "input", required=True)
        if not image_input.is_url(text):
            return image_input.read_input(text, self.switches.largest_image)
        if self.switches.urls == "refused":
            raise ErrorAnswer("URL inputs are disabled in this sandbox: send the image as base64")
        return image_input.fetch(text, self.switches.largest_image)


def _text(fields: RequestFields, name: str, required: bool = False) -> str:
    value = fields.get(name)
    text = "" if value is None else str(value)
    if required and not text.strip():
        raise ErrorAnswer(f"Missing {name}")
    if "\0" in text:
        raise ErrorAnswer(f"Invalid {name}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ErrorAnswer(f"Invalid {name}") from None
    return text


def _optional_id(fields: RequestFields, name: str) -> int | None:
    """None when the field is missing, empty or 0, as clients send it where they have no id."""
    value = fields.get(name)
    if value in (None, "", 0, "0"):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63:
        return value
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal() and len(value) < 19:
        return int(value)
    raise ErrorAnswer(f"Invalid {name}")


def _id(fields: RequestFields, name: str) -> int:
    value = _optional_id(fields, name)
    if value is None:
        raise ErrorAnswer(f"Missing {name}")
    return value
