"""The progress of commands that draw no bar."""

from astica_sync.cli.render.live.progress import Progress as Waits

__all__ = ["Waits"]
