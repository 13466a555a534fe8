"""What to do about a file of the store that cannot be a sample, where its name says more than its place."""

from astica_sync.core.model import Problem
from astica_sync.local.filesystem import Kind
from astica_sync.local.image.format import describe_outside_classes


def advise(problem: Problem) -> str:
    """The reason of a problem with the remedy that helps: what is no image by its name is no better in a class
    folder."""
    # A scan loads much, and a command's help needs none of it.
    from astica_sync.local.scan.changed_files import REASONS

    if problem.reason == REASONS[Kind.FILE]:
        return describe_outside_classes(problem.path) or problem.reason
    return problem.reason
