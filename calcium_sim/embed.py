"""Copies the source of channel functions into generated modules, so that these can be cached by the hash of all they contain.

A function may use arithmetic, ``math``, numbers and plain functions of its module; numbers are written in as literals, functions
are copied along under a name that depends on their source.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import inspect
import math
import textwrap
from collections.abc import Callable
from typing import Any

from .errors import InputError

_BUILTINS = {"abs", "min", "max", "float", "int", "range", "len", "pow", "bool", "round"}


def embed(function: Callable[..., Any], sources: dict[str, str], owner: str) -> str:
    """Add the source of `function` and of what it calls to `sources`; return the name under which it stands there.

    Raises
    ------
    InputError
        If the source cannot be read or uses a global that is neither a number, ``math`` nor a plain function.
    """
    node = _definition(function, owner)
    renamed: dict[str, ast.expr] = {}
    for name in sorted(_globals_used(node)):
        renamed[name] = _resolve(name, function, sources, owner)
    body = _Rename(renamed).visit(node)
    body.decorator_list, body.returns = [], None
    for argument in body.args.args:
        argument.annotation = None
    if ast.get_docstring(body) is not None:
        body.body = body.body[1:]
    body.name = "_"
    text = ast.unparse(ast.fix_missing_locations(body))
    name = f"{function.__name__}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    sources.setdefault(name, text.replace("def _(", f"def {name}(", 1))
    return name


def _definition(function: Callable[..., Any], owner: str) -> ast.FunctionDef:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise InputError(owner, f"the source of {function.__name__} cannot be read (define the channel in a file or a notebook)") from None
    node = ast.parse(source).body[0]
    if not isinstance(node, ast.FunctionDef):
        raise InputError(owner, f"{function.__name__} must be a plain function (def ...), decorated only with @staticmethod")
    return node


def _globals_used(node: ast.FunctionDef) -> set[str]:
    local = {a.arg for a in node.args.args}
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            local.add(child.id)
    loaded = (n for stmt in node.body for n in ast.walk(stmt))
    return {n.id for n in loaded if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} - local - _BUILTINS


def _resolve(name: str, function: Callable[..., Any], sources: dict[str, str], owner: str) -> ast.expr:
    scope = inspect.getclosurevars(function)
    value: Any = {**scope.nonlocals, **function.__globals__}.get(name, getattr(builtins, name, None))
    value = getattr(value, "py_func", value)
    if value is math:
        return ast.Name("math", ast.Load())
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ast.Constant(value)
    if inspect.isfunction(value):
        return ast.Name(embed(value, sources, owner), ast.Load())
    inner = getattr(math, name, None)
    if inner is not None and value is inner:
        return ast.parse(f"math.{name}", mode="eval").body
    raise InputError(owner, f"{function.__name__} uses '{name}', which is {type(value).__name__}; use numbers, math and plain functions")


class _Rename(ast.NodeTransformer):
    def __init__(self, table: dict[str, ast.expr]) -> None:
        self.table = table

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.table.get(node.id, node) if isinstance(node.ctx, ast.Load) else node
