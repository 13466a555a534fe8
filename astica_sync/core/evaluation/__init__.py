"""The arithmetic of an evaluation: confidence, calibration, and differences between versions."""
