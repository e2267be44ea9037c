"""The text of functions as they were imported: what is compiled has to be what Python itself would run.

Source is found by file and line, and a file may have been edited since it was imported. So the text of a file is kept when a channel class
is made of it, and whatever text is used later is compiled and compared with the code of the function that is there.
"""

from __future__ import annotations
import __future__

import ast
import copy
import inspect
import linecache
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from ..errors import InputError

_texts: dict[str, list[str]] = {}
"""Texts of files that functions came from, by file, the newest last."""

_FLAGS = 0
for _name in __future__.all_feature_names:
    _FLAGS |= getattr(__future__, _name).compiler_flag

_COMPILED = ("flux", "rates", "open_probability", "opening", "closing", "gains", "losses", "current")
_CALLED = ("steady", "edges", "event")
"""Functions that only Python calls; what they call is no text of ours (it may be scipy)."""


def keep(cls: type) -> None:
    """Keep the text of a class's functions, and of the plain functions that the compiled ones call as far as they exist by now."""
    seen = {f for f in (plain_function(getattr(cls, name, None)) for name in _CALLED) if f}
    waiting = [plain_function(getattr(cls, name, None)) for name in _COMPILED]
    while waiting:
        function = waiting.pop()
        if function is not None and function not in seen:
            seen.add(function)
            waiting += [plain_function(value) for value in _called(function)]
    for file, function in {f.__code__.co_filename: f for f in seen}.items():
        _read(file, function)


def definition(function: Callable[..., Any], owner: str) -> ast.FunctionDef:
    """The definition of a function, from a text that compiles to the code that the function has.

    Raises
    ------
    InputError
        If there is no such text, or it is no ``def``.
    """
    plain = plain_function(function)
    name = getattr(function, "__name__", "function")
    if plain is None or plain.__name__ == "<lambda>":
        raise InputError(owner, f"{name} must be a plain function (def ...), decorated only with @staticmethod")
    file, code = plain.__code__.co_filename, plain.__code__
    for text in reversed(_texts.get(file, [])):
        if (node := _find(text, code)) is not None:
            return node
    text = _read(file, plain)
    if (node := _find(text, code)) is not None:
        return node
    if not text:
        raise InputError(owner, f"the source of {name} cannot be read (define the channel in a file or a notebook)")
    raise InputError(owner, f"the source of {name} in {file} is not what was imported: the file has changed since (import it again)")


def reads(function: Callable[..., Any], argument: int, names: Iterable[str], owner: str) -> bool:
    """Whether a function may read one of these attributes of an argument: it does, or hands the argument on as a whole."""
    node, wanted = definition(function, owner), set(names)
    name = [a.arg for a in (*node.args.posonlyargs, *node.args.args)][argument]
    whole = {id(n.value) for n in ast.walk(node) if isinstance(n, ast.Attribute) and n.attr not in wanted}
    return bool(wanted) and any(isinstance(n, ast.Name) and n.id == name and id(n) not in whole for n in ast.walk(node))


def plain_function(value: Any) -> FunctionType | None:
    """The plain function in a static method, a method or a function compiled by numba; None of anything else."""
    value = getattr(value, "__func__", value)
    value = getattr(value, "py_func", value)
    return value if isinstance(value, FunctionType) else None


def _called(function: FunctionType) -> Iterator[Any]:
    """What the names in a function's code stand for by now."""
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield function.__globals__[name]
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue


def _read(file: str, function: FunctionType) -> str:
    """Read and keep the present text of the file of a function; empty where there is none."""
    linecache.checkcache(file)
    text = "".join(linecache.getlines(file, function.__globals__))
    known = _texts.setdefault(file, [])
    if text and text not in known:
        known.append(text)
    return text


def _find(text: str, code: CodeType) -> ast.FunctionDef | None:
    """A fresh copy of the definition in a text that compiles to `code`, at the same line if there are several."""
    try:
        table = _functions(text, code.co_flags & _FLAGS)
    except (SyntaxError, ValueError):
        return None
    wanted = _essence(code)
    found = [line for name, line, essence in table if name == code.co_name and essence == wanted]
    if not found:
        return None
    line = min(found, key=lambda n: abs(n - code.co_firstlineno))
    for node in _definitions(text):
        if node.name == code.co_name and _first_line(node) == line:
            return copy.deepcopy(node)
    return None


@lru_cache(maxsize=64)
def _definitions(text: str) -> tuple[ast.FunctionDef, ...]:
    return tuple(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))


@lru_cache(maxsize=64)
def _functions(text: str, flags: int) -> list[tuple[str, int, Any]]:
    """Name, first line and essence of every function in a text."""
    out, waiting = [], [compile(text, "", "exec", flags=flags, dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        waiting += [c for c in code.co_consts if isinstance(c, CodeType)]
        out.append((code.co_name, code.co_firstlineno, _essence(code)))
    return out


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(d.lineno for d in node.decorator_list)])


def _essence(code: CodeType) -> tuple[Any, ...]:
    """What a function computes, without where it stands."""
    star = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, star)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (code.co_name, counts, names, code.co_code, tuple(_constant(c) for c in code.co_consts))


def _constant(value: Any) -> Any:
    """A constant so that values of different types, 0.0 and -0.0 differ."""
    if isinstance(value, CodeType):
        return _essence(value)
    if isinstance(value, (tuple, frozenset)):
        parts = [_constant(v) for v in value]
        return (type(value).__name__, tuple(parts) if isinstance(value, tuple) else tuple(sorted(map(repr, parts))))
    return (type(value).__name__, repr(value))
