"""Concludes the facts about a service from the exchanges of a probe."""

from collections.abc import Callable

from astica_sync.core.service_facts.fact import MEANINGS, Fact, shortened
from astica_sync.core.service_facts.judge_answers import (
    judge_error_repeats,
    judge_error_status,
    judge_integers,
    judge_invalid_image,
    judge_limit_header,
    judge_limit_refusal,
    judge_list_counts,
    judge_missing_model,
    judge_model_list,
    judge_untrained,
    judge_view_without_id,
)
from astica_sync.core.service_facts.judge_samples import (
    judge_empty_class,
    judge_image,
    judge_largest_image,
    judge_repeated_uids,
    judge_sizes,
    judge_tagged_jpeg,
    judge_uid_length,
    judge_urls,
)
from astica_sync.core.service_facts.judge_times import (
    judge_list_lag,
    judge_sample_list_lag,
    judge_training_time,
    judge_view_lag,
)
from astica_sync.core.service_facts.judge_titles import (
    judge_titles_case,
    judge_titles_forms,
    judge_titles_markup,
    judge_titles_spaces,
    judge_titles_stored,
)
from astica_sync.core.service_facts.judge_training import (
    judge_confidence,
    judge_orientation_detected,
    judge_orientation_trained,
    judge_training,
    judge_version_form,
)
from astica_sync.core.service_facts.probe_log import ProbeLog

_RULES: dict[str, Callable[[ProbeLog, str], Fact]] = {
    "error_status": judge_error_status,
    "error_repeats": judge_error_repeats,
    "invalid_image": judge_invalid_image,
    "missing_model": judge_missing_model,
    "limit_refusal": judge_limit_refusal,
    "limit_header": judge_limit_header,
    "model_list": judge_model_list,
    "view_without_id": judge_view_without_id,
    "list_counts": judge_list_counts,
    "list_lag": judge_list_lag,
    "view_lag": judge_view_lag,
    "sample_list_lag": judge_sample_list_lag,
    "integers": judge_integers,
    "untrained": judge_untrained,
    "uid_length": judge_uid_length,
    "repeated_uids": judge_repeated_uids,
    "titles_case": judge_titles_case,
    "titles_spaces": judge_titles_spaces,
    "titles_forms": judge_titles_forms,
    "titles_stored": judge_titles_stored,
    "titles_markup": judge_titles_markup,
    "empty_class": judge_empty_class,
    "sizes": judge_sizes,
    "tagged_jpeg": judge_tagged_jpeg,
    "smallest": judge_image("smallest"),
    "side_16000": judge_image("side 16000"),
    "side_16001": judge_image("side 16001"),
    "largest_image": judge_largest_image,
    "urls": judge_urls,
    "training": judge_training,
    "training_time": judge_training_time,
    "version_form": judge_version_form,
    "confidence": judge_confidence,
    "orientation_trained": judge_orientation_trained,
    "orientation_detected": judge_orientation_detected,
}


def judge(log: ProbeLog, token: str) -> dict[str, Fact]:
    """Every fact, those that could not be observed among them, in the order of the table. Long texts are cut.

    Args:
        token: of the probe, from which its titles and uids are made.
    """
    return {name: shortened(_RULES[name](log, token)) for name in MEANINGS}
