"""Large arrays of a gallery that is replaced go back to the system."""

import platform
import subprocess
import sys

import pytest

FREED = """
import numpy as np
from astica_sync.page.gallery.process_memory import keep_large_apart

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 // 1_000_000

keep_large_apart()
# What is freed here would be the measure of what comes into the heap.
del [np.ones(8_000_000, np.uint8)][:]
before = resident()
arrays = [np.ones(4_000_000, np.uint8) for _ in range(25)]
last = np.ones(4_000_000, np.uint8)
del arrays
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_arrays_that_are_freed_go_back_to_the_system() -> None:
    ran = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 20
