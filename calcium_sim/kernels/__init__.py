"""Compiled numerics: functions of arrays and floats only (numpy, numba and each other)."""
