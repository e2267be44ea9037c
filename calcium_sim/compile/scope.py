"""Looks at the names of generated source before it runs: a name that means two things gives wrong numbers without a word.

Generated functions are long and full of numbered names. `check` refuses what none of them does on purpose: to assign an argument, to read
a name that nobody defines, or to read outside a loop over lanes what such a loop computes lane by lane (such a value belongs in a row).
"""

from __future__ import annotations

import ast
import builtins
import re

_EMBEDDED = re.compile(r"_d?[0-9a-f]{10}$")
"""How names end of functions that users wrote (`embed`), and of their derivatives."""


def check(text: str) -> None:
    """Refuse generated source in which a name is used for two things.

    Raises
    ------
    AssertionError
        With the function and the name: a defect of a generator, never of a user's model.
    """
    tree = ast.parse(text)
    known = set(dir(builtins)) | {name for node in tree.body for name in _defined(node)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            for fault in faults(node, known):
                raise AssertionError(f"generated function {node.name}: {fault}")


def faults(function: ast.FunctionDef, known: set[str]) -> list[str]:
    """What is wrong with the names of a function; `known` are those of its module."""
    given = {a.arg for a in function.args.args}
    stored = _names(function.body, ast.Store)
    own = _EMBEDDED.search(function.name) is None  # a user's function may change its arguments
    out = [f"argument '{n}' is assigned" for n in sorted(given & stored) if own]
    out += [f"'{n}' is defined nowhere" for n in sorted(_names(function.body, ast.Load) - given - stored - known)]
    loops = [n for n in ast.walk(function) if isinstance(n, ast.For) and _over_lanes(n)]
    inside = {id(n) for loop in loops for n in ast.walk(loop)}
    local = {n for loop in loops for n in _plain(loop)} - {"i"}
    outside = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and id(n) not in inside}
    out += [f"'{n}' of a loop over lanes is read outside" for n in sorted(local & outside)]
    for loop in loops:
        out += [f"'{n}' of another lane is read in a loop over lanes" for n in sorted(_first_read(loop) & local)]
    return out


def _over_lanes(node: ast.For) -> bool:
    """Whether a statement is a loop ``for i in range(<number>)`` that loads or stores rows of ``b``."""
    if not (isinstance(node.target, ast.Name) and node.target.id == "i"):
        return False
    rows = any(isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name) and n.value.id == "b" for n in ast.walk(node))
    count = node.iter.args[0] if isinstance(node.iter, ast.Call) and node.iter.args else None
    return rows and isinstance(count, ast.Constant)


def _plain(loop: ast.AST) -> set[str]:
    """Names that a loop assigns, but for counters (``+=``)."""
    counters = {n.target.id for n in ast.walk(loop) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}
    return {n.id for n in ast.walk(loop) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} - counters


def _first_read(loop: ast.For) -> set[str]:
    """Names that the body of a loop reads before it has surely assigned them."""
    sure: set[str] = set()
    found: set[str] = set()
    for statement in loop.body:
        found |= _names([statement], ast.Load) - sure - (_inner(statement) if isinstance(statement, ast.If) else set())
        if isinstance(statement, ast.Assign):
            sure |= _names([statement], ast.Store)
    return found


def _inner(branch: ast.If) -> set[str]:
    """Names that a branch assigns before it reads them."""
    sure: set[str] = set()
    read = _names([ast.Expr(branch.test)], ast.Load)
    for statement in branch.body:
        read |= _names([statement], ast.Load) - sure
        sure |= _names([statement], ast.Store) if isinstance(statement, ast.Assign) else set()
    return sure - read


def _names(body: list[ast.stmt], kind: type[ast.expr_context]) -> set[str]:
    return {n.id for s in body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, kind)}


def _defined(node: ast.stmt) -> set[str]:
    """Names that a statement of a module defines."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {a.asname or a.name for a in node.names}
    return _names([node], ast.Store)
