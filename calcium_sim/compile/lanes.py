"""Text of unrolled numerics: small linear systems, and loops over lanes of 64 nodes that the compiler can vectorise."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..kernels.lanes import GAMMA as GAMMA
from ..kernels.lanes import LANES as LANES


@dataclass
class Lanes:
    """Rows of `width` values in one scratch array ``b``, and loops over them that the compiler can vectorise.

    One array, constant offsets and a constant trip count leave no doubt about aliasing, which is what keeps LLVM from vectorising
    loops over a dozen state arrays.
    """

    rows: dict[str, int] = field(default_factory=dict)
    size: int = 0
    width: int = LANES

    def row(self, name: str) -> int:
        """First element of a row; a new one on first use."""
        if name not in self.rows:
            self.rows[name] = self.size
            self.size += self.width
        return self.rows[name]

    def rename(self, new: dict[str, str]) -> None:
        """Let rows take over other names; the old rows of these names are used again for the others."""
        for source, target in new.items():
            self.rows[source], self.rows[target] = self.rows[target], self.rows[source]

    def copies(self, function: str, array: str, rows: Iterable[tuple[str, int]], tail: str) -> list[str]:
        """A call of one of the copies of `kernels.lanes` for (name of a row, its number in the array); nothing for none."""
        pairs = list(rows)
        if not pairs:
            return []
        places, numbers = ("".join(f"I64({n}), " for n in each) for each in ([self.row(name) for name, _ in pairs], [r for _, r in pairs]))
        return [f"{function}(b, ({places}), {array}, ({numbers}), {tail})"]

    def loop(self, body: Sequence[str], outputs: Sequence[str]) -> list[str]:
        """A loop over the lanes: loads every row that the body reads, runs it, stores `outputs`."""
        lines = ["    " + line for line in (*self.loads(body), *body)]
        return [f"for i in range({self.width}):", *lines, *(f"    b[{self.row(n)} + i] = {n}" for n in outputs)]

    def loads(self, body: Sequence[str]) -> list[str]:
        """Statements that load every row that a body names, at lane i."""
        names = [n.id for n in ast.walk(ast.parse("\n".join(body))) if isinstance(n, ast.Name)]
        return [f"{n} = b[{self.rows[n]} + i]" for n in dict.fromkeys(names) if n in self.rows]


def lu_factor(n: int, pattern: set[tuple[int, int]], w: str) -> tuple[list[str], set[tuple[int, int]]]:
    """Statements that factor the matrix ``w{i}_{j}`` in place without pivoting, and the pattern with fill-in."""
    filled = pattern | {(i, i) for i in range(n)}
    lines = []
    for k in range(n):
        lines.append(f"{w}d{k} = 1.0 / {w}{k}_{k}")
        for i in range(k + 1, n):
            if (i, k) not in filled:
                continue
            lines.append(f"{w}{i}_{k} = {w}{i}_{k} * {w}d{k}")
            for j in range(k + 1, n):
                if (k, j) in filled:
                    old = f"{w}{i}_{j}" if (i, j) in filled else "0.0"
                    lines.append(f"{w}{i}_{j} = {old} - {w}{i}_{k} * {w}{k}_{j}")
                    filled.add((i, j))
    return lines, filled


def lu_solve(n: int, filled: set[tuple[int, int]], w: str, b: str) -> list[str]:
    """Statements that solve for the right side ``b{i}`` in place."""
    return lu_forward(n, filled, w, b) + lu_backward(n, filled, w, b, solved=n)


def lu_forward(n: int, filled: set[tuple[int, int]], w: str, b: str) -> list[str]:
    """The first half of it: unknowns are eliminated in turn."""
    return [f"{b}{i} = {b}{i} - {w}{i}_{k} * {b}{k}" for k in range(n) for i in range(k + 1, n) if (i, k) in filled]


def lu_backward(n: int, filled: set[tuple[int, int]], w: str, b: str, solved: int) -> list[str]:
    """The second half, from unknown `solved` on backwards; that one and those behind it are known."""
    lines = []
    for k in reversed(range(solved)):
        rest = "".join(f" - {w}{k}_{j} * {b}{j}" for j in range(k + 1, n) if (k, j) in filled)
        lines.append(f"{b}{k} = ({b}{k}{rest}) * {w}d{k}")
    return lines
