"""``python -m astica_sync`` is the ``astica-sync`` command."""

from astica_sync.cli.main import main

if __name__ == "__main__":
    main()
