"""Two tanh layers of one width and a linear one, with derivatives by their inputs and by their weights, for one point at a time.

Weights stand one behind the other from ``w[at]`` on: W1 (hidden, inputs), b1, W2 (hidden, hidden), b2, W3 (outputs, hidden), b3.
"""

from __future__ import annotations

from .compiled import njit
from .elementary import tanh


@njit(cache=True, error_model="numpy")
def outputs(w, at, x, first, second, y):
    """Fill the hidden layers and the outputs `y` at the inputs `x`."""
    inputs, hidden, count = x.size, first.size, y.size
    for i in range(hidden):
        total = w[at + hidden * inputs + i]
        for j in range(inputs):
            total += w[at + i * inputs + j] * x[j]
        first[i] = tanh(total)
    at += hidden * inputs + hidden
    for i in range(hidden):
        total = w[at + hidden * hidden + i]
        for j in range(hidden):
            total += w[at + i * hidden + j] * first[j]
        second[i] = tanh(total)
    at += hidden * hidden + hidden
    for o in range(count):
        total = w[at + count * hidden + o]
        for j in range(hidden):
            total += w[at + o * hidden + j] * second[j]
        y[o] = total


@njit(cache=True, error_model="numpy")
def slopes(w, at, x, first, second, count, deep, back, by_input, by_weight):
    """After `outputs`: derivatives of each output by the inputs, (outputs, inputs), and by the weights, (outputs, weights).

    Of the last layer's weights only those of the output itself are written: all others are zero, and have to be so before.
    """
    inputs, hidden = x.size, first.size
    to_second = at + hidden * inputs + hidden
    to_third = to_second + hidden * hidden + hidden
    for o in range(count):
        for i in range(hidden):
            back[i] = w[to_third + o * hidden + i] * (1.0 - second[i] * second[i])
            deep[i] = 0.0
        for i in range(hidden):
            for j in range(hidden):
                deep[j] += back[i] * w[to_second + i * hidden + j]
        for j in range(inputs):
            by_input[o, j] = 0.0
        for i in range(hidden):
            deep[i] *= 1.0 - first[i] * first[i]
            for j in range(inputs):
                by_input[o, j] += deep[i] * w[at + i * inputs + j]
                by_weight[o, i * inputs + j] = deep[i] * x[j]
            by_weight[o, hidden * inputs + i] = deep[i]
        place = to_second - at
        for i in range(hidden):
            for j in range(hidden):
                by_weight[o, place + i * hidden + j] = back[i] * first[j]
            by_weight[o, place + hidden * hidden + i] = back[i]
        place = to_third - at
        for j in range(hidden):
            by_weight[o, place + o * hidden + j] = second[j]
        by_weight[o, place + count * hidden + o] = 1.0
