"""Seeded bugs in ``push --as``: name, changes, and, where a bug is a common one, within how many walks CI must notice it."""

# ruff: noqa: E501

Change = tuple[str, str, str]
VERSION_MUTANTS: tuple[tuple[str, tuple[Change, ...], int], ...] = (
    ("push --as looks at the folder",
        (("astica_sync.sync.plan.status:plan_round", "if target is not None:", "if False:"),), 0),
    ("push --as looks for the file before a removal",
        (("astica_sync.sync.apply.requests:may_go", ", RemovalReason.NOT_IN_VERSION", ""),), 0),
    ("push --as sends from the file",
        (("astica_sync.sync.apply.requests:UploadJob.prepare", "if self.session.target is not None:", "if False:"),), 0),
)  # fmt: skip
