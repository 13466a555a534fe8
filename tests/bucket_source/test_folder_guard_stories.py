"""The stories of the guard of a store in a folder, with the same steps and the same results for one in a bucket."""

import pytest

from tests.bucket_source.test_folder_suites import shell  # noqa: F401 - pytest runs what a module has
from tests.faults.conftest import classes  # noqa: F401
from tests.faults.test_guard_stories import (  # noqa: F401
    test_a_changed_ignore_file_does_not_remove_samples_silently,
    test_a_renamed_class_moves_without_a_question,
    test_a_sample_of_two_stores_is_removed_only_when_neither_has_it,
    test_a_typo_in_a_class_title_is_questioned_before_any_request,
    test_max_remove_refuses_all_removals_above_it,
)

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
