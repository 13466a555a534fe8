"""The tests of a store in a folder that make sense for one in a bucket, with the same steps and the same results."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bucket_source.conftest import BucketShell, SourceBucket
from tests.cli.test_removals import (  # noqa: F401 - pytest runs what a module has
    many,
    test_a_dry_run_that_would_be_refused_says_so_with_its_exit_code,
    test_a_few_removals_in_each_push_reach_the_limit_of_a_day,
    test_a_refusal_lists_the_files_removes_nothing_and_allows_uploads,
    test_a_sample_added_to_a_class_just_before_its_removal_keeps_the_class,
    test_a_training_after_a_refused_push_names_what_sends_it,
    test_moves_and_edited_images_do_not_count_for_later_removals,
    test_settings_of_the_store_change_what_is_allowed,
    test_ten_removals_need_no_confirmation_and_eleven_do,
    test_with_a_limit_of_one_request_a_class_is_removed_sample_by_sample,
)
from tests.cli.test_settled_removals import (  # noqa: F401
    test_a_file_that_is_moved_and_moved_back_waits_for_nothing,
    test_two_stores_that_share_an_image_come_to_rest_whatever_one_removes,
)
from tests.harness.shell import Shell
from tests.surroundings.test_mirror import mirrored, test_what_happens_in_a_folder_happens_on_the_service  # noqa: F401

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@dataclass(frozen=True)
class Place:
    """In place of a disk."""

    folder: Path


@pytest.fixture
def disk(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def shell(shell: Shell, source: SourceBucket, monkeypatch: pytest.MonkeyPatch) -> BucketShell:
    for key in source.list_keys():
        source.remove(key)
    return BucketShell(shell, source, monkeypatch)
