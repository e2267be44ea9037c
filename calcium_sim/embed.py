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
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from . import learned
from .errors import InputError
from .imported import definition, plain_function
from .plugin import Channel

_BUILTINS = {"abs", "min", "max", "float", "int", "range", "len", "pow", "bool", "round"}


def embed(function: Callable[..., Any], sources: dict[str, str], owner: str) -> str:
    """Add the source of `function` and of what it calls to `sources`; return the name under which it stands there.

    Raises
    ------
    InputError
        If the source cannot be read, is not what was imported, or uses a global that is neither a number, ``math`` nor a plain function.
    """
    node = definition(function, owner)
    plain = plain_function(function)
    assert plain is not None
    scope = {**plain.__globals__, **inspect.getclosurevars(plain).nonlocals}
    names = sorted(name for name in _globals_used(node) if name in scope or name not in _BUILTINS)
    renamed = {name: _resolve(name, scope, function.__name__, sources, owner) for name in names}
    body = _Rename(renamed).visit(node)
    body.decorator_list, body.returns = [], None
    _plain_arguments(body.args, plain, owner)
    if ast.get_docstring(body) is not None:
        body.body = body.body[1:]
    body.name = "_"
    text = ast.unparse(ast.fix_missing_locations(body))
    name = f"{function.__name__}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    sources.setdefault(name, text.replace("def _(", f"def {name}(", 1))
    return name


def digest(cls: type[Channel]) -> str:
    """What identifies the code of a channel: SHA-256 of all that is compiled for it, or of the file of its network, or of both.

    Compiled are the functions with their helpers and constants, as `embed` writes them, and the tables; of functions that only Python calls
    (`steady`, `edges`) and that `embed` does not take, the text alone counts.
    """
    file = getattr(getattr(cls, "gate", None), "sha256", "")
    if file and cls.__module__ == learned.__name__:
        return f"sha256:{file}"
    sources: dict[str, str] = {}
    parts = [repr([cls.across, sorted(cls.reads.items()), list(cls.state_table().items()), sorted(cls.moves.items())])]
    for which in ("flux", "rates", "open_probability", "steady", "edges"):
        function = getattr(cls, which)
        if function is not None:
            parts.append(f"{which} {_identity(function, sources, cls.label())}")
    text = "\n".join([*parts, *sorted(sources.values())])
    own = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{own} sha256:{file}" if file else own


def _identity(function: Callable[..., Any], sources: dict[str, str], owner: str) -> str:
    try:
        return embed(function, sources, owner)
    except InputError:
        return ast.unparse(definition(function, owner))


def _plain_arguments(arguments: ast.arguments, function: FunctionType, owner: str) -> None:
    """Refuse ``*args`` and the like, drop annotations, write defaults as the numbers that they are."""
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
        raise InputError(owner, f"{function.__name__} takes * or ** arguments (give each one a name and a place)")
    for argument in (*arguments.posonlyargs, *arguments.args):
        argument.annotation = None
    given = function.__defaults__ or ()
    if not all(isinstance(value, (int, float)) for value in given):
        raise InputError(owner, f"{function.__name__} has a default that is no number (use numbers)")
    arguments.defaults = [ast.Constant(value) for value in given]


def _globals_used(node: ast.FunctionDef) -> set[str]:
    local = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg) if a}
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            local.add(child.id)
    loaded = (n for stmt in node.body for n in ast.walk(stmt))
    return {n.id for n in loaded if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} - local


def _resolve(name: str, scope: Mapping[str, Any], user: str, sources: dict[str, str], owner: str) -> ast.expr:
    value: Any = scope.get(name, getattr(builtins, name, None))
    if value is math:
        return ast.Name("math", ast.Load())
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ast.Constant(value)
    if plain_function(value) is not None:
        return ast.Name(embed(value, sources, owner), ast.Load())
    if value is not None and value is getattr(math, name, None):
        return ast.parse(f"math.{name}", mode="eval").body
    if name in _BUILTINS and value is getattr(builtins, name):
        return ast.Name(name, ast.Load())
    raise InputError(owner, f"{user} uses '{name}', which is {type(value).__name__}; use numbers, math and plain functions")


class _Rename(ast.NodeTransformer):
    def __init__(self, table: dict[str, ast.expr]) -> None:
        self.table = table

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.table.get(node.id, node) if isinstance(node.ctx, ast.Load) else node
