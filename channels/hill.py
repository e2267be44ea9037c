"""Saturation by binding, with a Hill coefficient that need not be whole."""

from __future__ import annotations


def power(x, n):
    """Return x^n for x > 0 and 0 below, where diffusion on coarse simplices may leave a concentration slightly negative."""
    return x**n if x > 0.0 else 0.0


def hill(x, k, n):
    """Return x^n / (k^n + x^n)."""
    up = power(x / k, n)
    return up / (1.0 + up)
