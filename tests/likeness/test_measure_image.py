"""What is measured of an image for ``inspect``."""

import numpy as np
import pytest

from astica_sync.inspect.measure_pixels import high_quantile


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 199, 200, 201, 4000, 109_252])
@pytest.mark.parametrize("kind", ["noise", "equal", "rising", "few", "striped"])
def test_the_high_quantile_is_that_of_numpy(size: int, kind: str) -> None:
    dice = np.random.default_rng(size)
    values = {
        "noise": dice.random(size, np.float32) * 200,
        "equal": np.full(size, 7, np.float32),
        "rising": np.arange(size, dtype=np.float32),
        "few": (dice.random(size) < 0.004).astype(np.float32) * 90,
        # Each value that is looked at first is higher than all others.
        "striped": np.where(np.arange(size) % 16 == 0, 500, dice.random(size)).astype(np.float32),
    }[kind]
    assert high_quantile(values, 0.995) == pytest.approx(float(np.quantile(values, 0.995)), rel=1e-5, abs=1e-4)
