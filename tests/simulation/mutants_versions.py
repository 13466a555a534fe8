"""Seeded bugs in trainings, versions, ``push --as`` and the making of models: name, changes, and, where a bug is a
common one, within how many walks CI must notice it."""

# ruff: noqa: E501

TRAIN = "astica_sync.training.train:Trainer."
CREATING = "astica_sync.sync.admin.create_model:"
SNAPSHOTS = "astica_sync.local.backup.manifests:Manifests."
_WRITE = "self._fs.write_synced(path, self._lines(samples()))"
_INTENT = "self.journal.set_meta(PENDING, asdict(training))"

Change = tuple[str, str, str]
VERSION_MUTANTS: tuple[tuple[str, tuple[Change, ...], int], ...] = (
    ("the manifest comes after the request",
        ((SNAPSHOTS + "write", _WRITE,
          "Manifests.late = lambda fs=self._fs, path=path, lines=list(self._lines(samples())): fs.write_synced(path, lines)"),
         (SNAPSHOTS + "write", "self.check(snapshot)", "pass"),
         (TRAIN + "begin", "self.service.train(self.model_id)",
          "self.service.train(self.model_id)\n"
          "            __import__('astica_sync.local.backup.manifests').store.snapshots.Manifests.late()")), 100),
    ("the intent of a training is left out", ((TRAIN + "begin", _INTENT, "pass"),), 100),
    ("a version is tied to the newest snapshot",
        ((TRAIN + "note", "finished.snapshot if finished else None",
          "max((status.st_mtime_ns, name[:32]) for name, status in self.records._fs.scan_folder("
          "self.records._root / 'snapshots'))[1] if finished else None"),), 0),
    ("a version is tied to the data of the one before",
        ((TRAIN + "note", "finished.snapshot if finished else None",
          "([v.snapshot for v in self.records.versions() if v.snapshot] or [finished.snapshot])[-1] if finished else None"),), 0),
    ("a version is tied to no data", ((TRAIN + "note", "finished.snapshot if finished else None", "None"),), 100),
    ("a training is asked for again after a lost answer",
        ((TRAIN + "begin", "self._record(snapshot, Outcome.UNKNOWN, str(error))", "self.service.train(self.model_id)"),), 300),
    ("a training without an answer is forgotten",
        ((TRAIN + "begin", "self._record(snapshot, Outcome.UNKNOWN, str(error))", "self.give_up(training)"),), 0),
    ("a version that a lagging answer shows again is a new one",
        (("astica_sync.core.versions.version:has_newer", "if is_recorded(now, versions[: training.known]):", "if False:"),), 0),
    ("an answer older than the intent settles it", ((TRAIN + "look", "if _same(self.pending(), pending):", "if True:"),), 0),
    ("a snapshot is what the store has",
        (("astica_sync.core.versions.snapshot:freeze", "if not row.remote:", "if not row.remote and row.local is None:"),), 0),
    ("a snapshot lacks what was made elsewhere",
        (("astica_sync.core.versions.snapshot:freeze", "yield from (Elsewhere", "yield from () and (Elsewhere"),), 0),
    ("push --as looks at the folder",
        (("astica_sync.sync.plan.compare:compare", "if session.wanted:", "if False:"),), 0),
    ("push --as looks for the file before a removal",
        (("astica_sync.sync.apply.requests:may_go", ", RemovalReason.NOT_IN_VERSION", ""),), 0),
    ("push --as sends from the file",
        (("astica_sync.sync.apply.requests:UploadJob.prepare", "if self.session.wanted is not None:", "if False:"),), 0),
    ("a model is made again without a wait for the first",
        ((CREATING + "create_model", "found = _wait_for(service, wish, before, clock, quarantine)\n        if", "pass\n        if"),), 0),
    ("the attempt to make a model is not written down",
        ((CREATING + "create_model", "fs.write_synced(intent, [json.dumps(state).encode()])", "pass"),), 100),
    ("the attempt that a killed run wrote down is not synced",
        ((CREATING + "create_model", "fs.sync_folder(intent.parent)", "pass"),), 0),
    ("a record follows the store's disk to where it was mounted",
        (("astica_sync.local.backup.records:Records._append", "self._fs.lstat(self._root.parent)", "pass"),), 0),
)  # fmt: skip
