import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astica_sync.remote import request_body as request_body_module
from astica_sync.remote.request_body import RequestBody
from astica_sync.secret import Secret

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts, st.dictionaries(st.sampled_from(["model_class", "uid", "model_id"]), texts | st.integers(0, 2**63 - 1)))
def test_a_body_is_the_json_of_its_fields_and_the_key(key: str, fields: dict[str, str | int]) -> None:
    assert json.loads(b"".join(RequestBody(Secret(key), fields))) == {"tkn": key, **fields}


@given(st.binary(max_size=30), st.sampled_from(["", "data:image/png;base64,"]))
def test_an_image_arrives_byte_for_byte(image: bytes, prefix: str) -> None:
    sent = json.loads(b"".join(RequestBody(Secret("k"), {"uid": "u"}, image, prefix)))
    assert sent["input"].startswith(prefix)
    assert base64.b64decode(sent["input"].removeprefix(prefix), validate=True) == image


@pytest.mark.parametrize("extra", [-1, 0, 1, 2, 3])
def test_an_image_of_several_pieces_is_encoded_without_gaps(extra: int) -> None:
    image = bytes(range(256)) * (request_body_module.PIECE * 2 // 256) + b"\xff\0\x7f"
    image = image[: request_body_module.PIECE * 2 + extra]
    sent = json.loads(b"".join(RequestBody(Secret("k"), {}, image)))
    assert base64.b64decode(sent["input"], validate=True) == image


@given(texts, st.none() | st.binary(max_size=9))
def test_the_length_is_known_before_anything_is_sent(title: str, image: bytes | None) -> None:
    body = RequestBody(Secret("k"), {"model_class": title}, image)
    assert len(body) == len(b"".join(body))


def test_a_body_can_be_iterated_twice() -> None:
    body = RequestBody(Secret("k"), {}, b"image")
    assert list(body) == list(body)


def test_a_body_does_not_show_the_key() -> None:
    body = RequestBody(Secret("canary"), {"uid": "u"}, b"image")
    assert "canary" not in repr(body) + str(vars(body))
