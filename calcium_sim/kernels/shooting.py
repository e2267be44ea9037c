"""A system of ordinary equations and how its solution moves with the weights in them: Runge-Kutta of order 4, with forward sensitivities.

The first unknown is a potential that is driven and may be held towards a recording: ``dv/dt = f_0 + drive + hold (recorded - v)``. The
sensitivities are those of the numerical solution itself: each stage is differentiated. Where `share` is not below 0, the drive is taken
times the exponential of this weight. `runners` compiles both for a system.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import njit


def runners(values: Any, slopes: Any) -> tuple[Any, Any]:
    """The solution alone, and with its sensitivities, for a system that is given as two compiled functions.

    ``values(s, w, q, b, f)`` fills the right side; ``slopes(s, w, q, b, f, j, g)`` also its derivatives by the unknowns,
    (unknowns, unknowns), and by the weights, (unknowns, weights). Entries that are always zero need not be written. `q` are
    constants, `b` is scratch memory.
    Their names have to tell systems apart: compiled code is kept under them.
    """

    @njit(cache=True, error_model="numpy", nogil=True)
    def march(start, w, q, b, drive, recorded, hold, h, every, share, out):
        n, steps = start.size, drive.size
        s, at, f, sums = start.copy(), start.copy(), np.zeros(n), np.zeros(n)
        part = np.exp(w[share]) if share >= 0 else 1.0
        out[0] = s[0]
        for step in range(steps):
            for stage in range(4):
                values(at, w, q, b, f)
                f[0] += part * drive[step] + hold * (recorded[2 * step + (stage + 1) // 2] - at[0])
                weight = 2.0 if stage in (1, 2) else 1.0
                reach = h if stage == 2 else 0.5 * h
                for i in range(n):
                    sums[i] = weight * f[i] + (sums[i] if stage else 0.0)
                    at[i] = s[i] + reach * f[i]
            for i in range(n):
                s[i] += h / 6.0 * sums[i]
                at[i] = s[i]
            if not abs(s[0]) < 1e4:
                return False
            if (step + 1) % every == 0:
                out[(step + 1) // every] = s[0]
        return True

    @njit(cache=True, error_model="numpy", nogil=True)
    def shoot(start, moved, w, q, b, drive, recorded, hold, h, every, share, out, by):
        n, size, steps = start.size, w.size, drive.size
        s, at, f, sums = start.copy(), start.copy(), np.zeros(n), np.zeros(n)
        m, there, speed, total = moved.copy(), moved.copy(), np.zeros((n, size)), np.zeros((n, size))
        j, g = np.zeros((n, n)), np.zeros((n, size))
        part = np.exp(w[share]) if share >= 0 else 1.0
        out[0] = s[0]
        by[0, :] = m[0, :]
        for step in range(steps):
            for stage in range(4):
                slopes(at, w, q, b, f, j, g)
                f[0] += part * drive[step] + hold * (recorded[2 * step + (stage + 1) // 2] - at[0])
                j[0, 0] -= hold
                if share >= 0:
                    g[0, share] = part * drive[step]
                weight = 2.0 if stage in (1, 2) else 1.0
                reach = h if stage == 2 else 0.5 * h
                for i in range(n):
                    for k in range(size):
                        speed[i, k] = g[i, k]
                    for other in range(n):
                        a = j[i, other]
                        if a != 0.0:
                            for k in range(size):
                                speed[i, k] += a * there[other, k]
                for i in range(n):
                    before = 1.0 if stage else 0.0
                    sums[i] = weight * f[i] + before * sums[i]
                    at[i] = s[i] + reach * f[i]
                    for k in range(size):
                        total[i, k] = weight * speed[i, k] + before * total[i, k]
                        there[i, k] = m[i, k] + reach * speed[i, k]
            for i in range(n):
                s[i] += h / 6.0 * sums[i]
                at[i] = s[i]
                for k in range(size):
                    m[i, k] += h / 6.0 * total[i, k]
                    there[i, k] = m[i, k]
            if not abs(s[0]) < 1e4:
                return False
            if (step + 1) % every == 0:
                out[(step + 1) // every] = s[0]
                by[(step + 1) // every, :] = m[0, :]
        return True

    return march, shoot
