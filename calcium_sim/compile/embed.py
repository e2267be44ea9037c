"""Copies the source of channel functions into generated modules, so that these can be cached by the hash of all they contain.

A function may use arithmetic, ``math``, numbers and plain functions of its module; numbers are written in as literals, functions
are copied along under a name that depends on their source. Whole numbers mean what they mean in Python: where compiled code, whose whole
numbers end at 2^63, would give something else, they are written as floats.
"""

from __future__ import annotations

import ast
import builtins
import copy
import dis
import hashlib
import inspect
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

from ..errors import InputError
from ..networks import channel
from ..plugin import Channel
from ..plugin.imported import definition, plain_function

_BUILTINS = {"abs", "min", "max", "float", "int", "range", "len", "pow", "bool", "round"}

_WHOLE = 2**63
"""Compiled whole numbers end here."""


def embed(function: Callable[..., Any], sources: dict[str, str], owner: str) -> str:
    """Add the source of `function` and of what it calls to `sources`; return the name under which it stands there.

    Raises
    ------
    InputError
        If the source cannot be read, is not what was imported, calls itself, may end without a number, or uses a global that is neither
        a number, ``math`` nor a plain function.
    """
    return _embed(function, sources, owner, ())


def _embed(function: Callable[..., Any], sources: dict[str, str], owner: str, callers: tuple[FunctionType, ...]) -> str:
    node = definition(function, owner)
    plain = plain_function(function)
    assert plain is not None
    if plain in callers:
        raise InputError(owner, f"{plain.__name__} calls itself, which is not compiled (write it as a loop)")
    if not _returns(node.body) or any(isinstance(n, ast.Return) and n.value is None for n in ast.walk(node)):
        raise InputError(owner, f"{plain.__name__} may end without a number (return one on every path)")
    scope = {**plain.__globals__, **inspect.getclosurevars(plain).nonlocals}
    names = sorted(name for name in _globals_used(node, plain, owner) if name in scope or name not in _BUILTINS)
    renamed = {name: _resolve(name, scope, plain, sources, owner, callers) for name in names}
    body = _Rename(renamed, owner, plain.__name__).visit(node)
    body.decorator_list, body.returns = [], None
    _plain_arguments(body.args, plain, owner)
    if ast.get_docstring(body) is not None:
        body.body = body.body[1:] or [ast.Pass()]
    body.name = "_"
    text = ast.unparse(ast.fix_missing_locations(body))
    name = f"{function.__name__}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    sources.setdefault(name, text.replace("def _(", f"def {name}(", 1))
    return name


def digest(cls: type[Channel]) -> str:
    """What identifies the code of a channel: SHA-256 of all that is compiled for it, or of the file of its network, or of both.

    Compiled are the functions with their helpers and constants, as `embed` writes them, and the tables; of functions that only Python calls
    (`steady`, `edges`, `event`) and that `embed` does not take, the text alone counts.
    """
    file = getattr(getattr(cls, "gate", None), "sha256", "")
    if file and cls.__module__ == channel.__name__:
        return f"sha256:{file}"
    sources: dict[str, str] = {}
    parts = [repr([cls.across, sorted(cls.reads.items()), list(cls.state_table().items()), sorted(cls.moves.items()), cls.flux_unit])]
    for which in ("flux", "rates", "open_probability", "steady", "edges", "current", "event"):
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
    arguments.defaults = [_literal(value, f"{function.__name__} has a default that", owner) for value in given]


def _literal(value: float, what: str, owner: str) -> ast.expr:
    """A number as an expression that means the same wherever it is put: ``-2.0`` before ``** 2`` needs its brackets."""
    if isinstance(value, bool):
        return ast.Constant(value)
    try:
        number = int(value) if isinstance(value, int) and abs(value) < _WHOLE else float(value)
    except OverflowError:
        raise InputError(owner, f"{what} is a whole number beyond the largest float (use a number below 1e308)") from None
    if not math.isfinite(number):
        size: ast.expr = ast.Attribute(ast.Name("math", ast.Load()), "nan" if math.isnan(number) else "inf", ast.Load())
    else:
        size = ast.Constant(abs(number))
    return ast.UnaryOp(ast.USub(), size) if math.copysign(1.0, number) < 0 else size


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of the comprehensions within it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _globals_used(node: ast.FunctionDef, function: FunctionType, owner: str) -> set[str]:
    """Names from outside the function, as Python itself sees them; each of them has to mean one thing throughout the function."""
    if any(isinstance(n, (ast.Global, ast.Nonlocal)) for n in ast.walk(node)):
        raise InputError(owner, f"{function.__name__} declares names as global or nonlocal (a function of a channel only returns numbers)")
    inside = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
    if any(isinstance(n, inside) for n in ast.walk(node) if n is not node):
        raise InputError(owner, f"{function.__name__} defines a function or class within it (define it in the module, beside the channel)")
    codes = list(_codes(function.__code__))
    outer = set(function.__code__.co_freevars)
    outer |= {i.argval for code in codes for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner = {name for code in codes for name in (*code.co_varnames, *code.co_cellvars)}
    loaded = (n for statement in node.body for n in ast.walk(statement))  # of them Python drops what is never reached
    outer |= {n.id for n in loaded if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id not in inner}
    for name in sorted(outer & inner):
        raise InputError(owner, f"{function.__name__} uses '{name}' for a variable and for what its module calls so (rename the variable)")
    return outer


def _returns(body: list[ast.stmt]) -> bool:
    """Whether a block surely returns, or stops with an error, in its last statement."""
    last = body[-1]
    return isinstance(last, (ast.Return, ast.Raise)) or (
        isinstance(last, ast.If) and bool(last.orelse) and _returns(last.body) and _returns(last.orelse)
    )


def _resolve(
    name: str, scope: Mapping[str, Any], user: FunctionType, sources: dict[str, str], owner: str, callers: tuple[FunctionType, ...]
) -> ast.expr:
    value: Any = scope.get(name, getattr(builtins, name, None))
    if value is math:
        return ast.Name("math", ast.Load())
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _literal(value, f"{user.__name__} uses '{name}', which", owner)
    if plain_function(value) is not None:
        return ast.Name(_embed(value, sources, owner, (*callers, user)), ast.Load())
    if value is not None and value is getattr(math, name, None):
        return ast.parse(f"math.{name}", mode="eval").body
    if name in _BUILTINS and value is getattr(builtins, name):
        return ast.Name(name, ast.Load())
    raise InputError(owner, f"{user.__name__} uses '{name}', which is {type(value).__name__}; use numbers, math and plain functions")


class _Rename(ast.NodeTransformer):
    """Puts what names from outside stand for in their place, and floats where whole numbers could grow beyond 2^63."""

    def __init__(self, table: dict[str, ast.expr], owner: str, function: str) -> None:
        self.table, self.owner, self.function = table, owner, function
        self.counted: set[str] = set()
        self.summed: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        for n in ast.walk(node):
            if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name):
                self.summed.add(n.target.id)
            if isinstance(n, ast.For):
                self.counted |= {m.id for m in ast.walk(n.target) if isinstance(m, ast.Name)}
        given = [(n.targets, n.value) for n in ast.walk(node) if isinstance(n, ast.Assign)]
        given += [([n.target], n.value) for n in ast.walk(node) if isinstance(n, (ast.AugAssign, ast.AnnAssign)) and n.value is not None]
        for _ in given:  # a name may be whole by another that is
            for targets, value in given:
                if self._may_be_whole(value):
                    self.counted |= {t.id for t in targets if isinstance(t, ast.Name)}
        return self.generic_visit(node)

    def _may_be_whole(self, node: ast.expr) -> bool:
        """Whether an expression may be a whole number: a literal, a name that got one, what is made of these."""
        if isinstance(node, ast.UnaryOp):
            return self._may_be_whole(node.operand)
        if isinstance(node, ast.BinOp):
            return not isinstance(node.op, ast.Div) and self._may_be_whole(node.left) and self._may_be_whole(node.right)
        if isinstance(node, ast.IfExp):
            return self._may_be_whole(node.body) or self._may_be_whole(node.orelse)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("abs", "min", "max", "pow"):
                return all(self._may_be_whole(a) for a in node.args)
            return node.func.id in ("int", "len", "round")
        if isinstance(node, ast.Name):
            known = self.table.get(node.id)
            return node.id in self.counted if known is None else _whole(known) is not None
        return _whole(node) is not None

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self.table.get(node.id, node)) if isinstance(node.ctx, ast.Load) else node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, int) and abs(node.value) >= _WHOLE:
            return _literal(node.value, f"{self.function} has what", self.owner)
        return node

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        raise InputError(self.owner, f"{self.function} sets a variable within an expression (:=); give it a line of its own")

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.Pass()
        return self.visit(ast.Assign([node.target], node.value))

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        value = _whole(node.value)
        if value is not None and any(isinstance(t, ast.Name) and t.id in self.summed for t in node.targets):
            node.value = _literal(float(value), "", self.owner)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, (ast.LShift, ast.RShift, ast.BitAnd, ast.BitOr, ast.BitXor)):
            raise InputError(self.owner, f"{self.function} works with bits ({ast.unparse(node)}), which is not compiled (use * and **)")
        whole = self._may_be_whole(node.left) and self._may_be_whole(node.right)
        self.generic_visit(node)
        left, right = _whole(node.left), _whole(node.right)
        if left is not None and right is not None and (result := _exact(left, node.op, right)) is not None:
            return _literal(result, f"{self.function} has what", self.owner)
        if isinstance(node.op, ast.Pow) and left is not None:
            node.left = _literal(float(left), "", self.owner)
        if whole and left is None and isinstance(node.op, (ast.Pow, ast.Add, ast.Sub, ast.Mult)):
            node.left = _float(node.left)
        elif whole and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
            node.right = _float(node.right)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        whole = [self._may_be_whole(a) for a in node.args]
        helper = isinstance(node.func, ast.Name) and isinstance(self.table.get(node.func.id), ast.Name) and node.func.id not in _BUILTINS
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "range":
            node.args = [self._index(a) for a in node.args]
        elif helper:
            node.args = [_float(a) if w else a for a, w in zip(node.args, whole, strict=True)]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        node.slice = self._index(node.slice)
        return node

    def _index(self, node: ast.expr) -> ast.expr:
        """A place in a row, or the end of a range, that may be written as a float by now."""
        return node if _whole(node) is not None or isinstance(node, ast.Slice) else ast.Call(ast.Name("int", ast.Load()), [node], [])


def _float(node: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("float", ast.Load()), [node], [])


def _whole(node: ast.expr) -> int | None:
    """The value of a literal whole number; None of anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _whole(node.operand)
        return None if value is None else -value
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool) else None


def _exact(left: int, op: ast.operator, right: int) -> float | None:
    """The number that Python makes of two whole numbers; None where it makes none, or one too long to be written."""
    known = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow}
    if type(op) not in known or (isinstance(op, ast.Pow) and abs(right) > 4096):
        return None
    try:
        result: float = known[type(op)](left, right)
    except ArithmeticError:
        return None
    return result
