"""What helps a sample that failed: another try, or only another image."""

import pytest

from astica_sync.core.failure_remedy import LEAVE_OUT, is_over_a_limit, remedy_of, retry_helps
from astica_sync.local.image import format as image_format

LIMITS = [
    "train.example: Image is too large: more than 20 MB",
    "train.example: file size exceeds the limit",
    "train.example: Image dimensions exceed the maximum of 8000 x 8000",
    "train.example: The input is larger than allowed",
    "train.example: too many pixels",
    "train.example: more than 16,000 pixels",
    "train.example: exceeds the maximum image size",
    "train.example: Request Entity Too Large",
    "train.example answered 413 without a reason",
    "train.example answered 413: no",
]
OTHERS = [
    "train.example: refused without a reason",
    "train.example answered 400 without a reason",
    "train.example: Duplicate uid",
    "train.example: the class title is too long",
    "train.example: too many classes",
    "train.example: The account's limit of samples is reached",
    "train.example: image is not readable, try another one",
    "no readable answer to 3 requests about it; the next push tries it again",
]


@pytest.mark.parametrize("reason", LIMITS)
def test_an_image_over_a_limit_has_to_be_smaller(reason: str) -> None:
    assert is_over_a_limit(reason) and not retry_helps(reason)
    assert remedy_of(reason) == "save it smaller, or list it in .astica-ignore"


@pytest.mark.parametrize("reason", OTHERS)
def test_what_else_failed_is_tried_again(reason: str) -> None:
    assert not is_over_a_limit(reason) and retry_helps(reason)
    assert remedy_of(reason) == "try it again: astica-sync push --retry"


def test_a_reason_of_our_own_contains_what_helps() -> None:
    reasons = [
        image_format.judge_bytes(30_000_000),
        image_format.judge_sides(20_000, 10),
        image_format.judge_sides(0, 10),
        image_format.broken("it ends early"),
        image_format.damaged("5 warnings"),
    ]
    for reason in reasons:
        assert reason is not None and LEAVE_OUT in reason
        assert not retry_helps(reason) and remedy_of(reason) == ""
