"""Examines the code of a TorchScript archive by its syntax tree, against an allow-list; nothing is executed or compiled.

What the list does not name is refused: loops, imports, lambdas, comprehensions, double-underscore names, assignments to attributes, any
operator that reads files or makes a tensor from a size. Calls are resolved to their targets, so that recursion and call trees that
explode when they are written out are seen. The admitted tree is printed anew: torch parses our text, not the stranger's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from .bodies import Function
from .pickles import Refused
from .strict import shown
from .syntax import ADVICE, MAX_CODE, MAX_COST, MAX_DEPTH, MAX_WORDS, Class, Code, Type, check_classes, fail, literal, ordinary, parse_type

_WORD = re.compile(rb"[A-Za-z0-9_]+|[^A-Za-z0-9_ \n]")
_TEXT = re.compile(r"[\x20-\x7e\n]*")


def examine(files: Mapping[str, bytes], constants: int) -> Code:
    """Check the code files (by member name, ``code/__torch__...py``); `constants` is the number of tensors in ``constants.pkl``.

    Raises
    ------
    Refused
        With the file, the line and the rule.
    """
    if sum(map(len, files.values())) > MAX_CODE:
        raise Refused(f"code of more than {MAX_CODE} bytes")
    words = 0
    for name, data in files.items():
        words += _counted(name, data, MAX_WORDS - words)
    code = Code(constants=constants)
    trees = {name: _parse(name, text) for name, text in files.items()}
    for name, tree in trees.items():
        _declare(tree, name.removeprefix("code/").removesuffix(".py").replace("/", "."), code)
    calls: dict[str, tuple[int, list[str]]] = {}
    for qualified, cls in code.classes.items():
        for declared in cls.attributes.values():
            check_classes(declared, code, qualified)
        for method, node in cls.methods.items():
            calls[f"{qualified}.{method}"] = Function(node, f"{qualified}.{method}", cls, code).check()
    for qualified, node in code.functions.items():
        calls[qualified] = Function(node, qualified, None, code).check()
    _check_calls(calls)
    code.text = {name: ast.unparse(tree) + "\n" for name, tree in trees.items()}
    return code


def _counted(name: str, data: bytes, left: int) -> int:
    """How many words a file has, at most `left` of them; brackets within brackets are counted as well."""
    depth, words = 0, 0
    for found in _WORD.finditer(data):
        words += 1
        depth += 1 if found[0] in b"([{" else -1 if found[0] in b")]}" else 0
        if words > left or depth > MAX_DEPTH:
            what = f"code of more than {MAX_WORDS} words" if words > left else f"{shown(name)} is nested too deeply"
            raise Refused(what)
    return words


def _parse(name: str, data: bytes) -> ast.Module:
    text = data.decode("latin-1")
    if not _TEXT.fullmatch(text):
        raise Refused(f"{name} has characters other than printable ASCII")
    if "#" in text or "\\" in text:
        raise Refused(f"{name} has a comment or a backslash")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Refused(f"{name} is not plain code ({type(error).__name__})") from None
    _check_depth(tree, name)
    return tree


def _check_depth(tree: ast.AST, name: str) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise Refused(f"{name} is nested too deeply")


def _declare(tree: ast.Module, module: str, code: Code) -> None:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            qualified = f"{module}.{ordinary(node.name, node, module)}"
            if qualified in code.functions or qualified in code.classes:
                raise fail(node, module, f"'{qualified}' is defined twice")
            code.functions[qualified] = node
        elif isinstance(node, ast.ClassDef):
            cls = _declare_class(node, module)
            if cls.name in code.classes or cls.name in code.functions:
                raise fail(node, module, f"'{cls.name}' is defined twice")
            code.classes[cls.name] = cls
        else:
            raise fail(node, module, f"{type(node).__name__} is not permitted in a file")


def _declare_class(node: ast.ClassDef, module: str) -> Class:
    bases = [b.id if isinstance(b, ast.Name) else "?" for b in node.bases]
    if bases != ["Module"] or node.keywords or node.decorator_list or getattr(node, "type_params", None):
        raise fail(node, module, f"a class that is not a plain Module ({ADVICE})")
    cls = Class(f"{module}.{ordinary(node.name, node, module)}")
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            name = item.name if item.name == "__len__" else ordinary(item.name, item, cls.name)
            if name in cls.methods:
                raise fail(item, cls.name, f"method '{name}' is defined twice")
            cls.methods[name] = item
        elif isinstance(item, ast.AnnAssign):
            _declare_attribute(item, cls)
        elif isinstance(item, ast.Assign):
            _declare_special(item, cls)
        elif not isinstance(item, ast.Pass):
            raise fail(item, cls.name, f"{type(item).__name__} is not permitted in a class (only declarations and functions)")
    if clash := (set(cls.attributes) | cls.constants) & set(cls.methods):
        raise fail(node, cls.name, f"'{min(clash)}' is attribute and method")
    return cls


def _declare_attribute(item: ast.AnnAssign, cls: Class) -> None:
    if not isinstance(item.target, ast.Name):
        raise fail(item, cls.name, "a declaration of something that is not a name")
    name, declared = ordinary(item.target.id, item, cls.name), parse_type(item.annotation, cls.name)
    if (declared[0] == "Final") != (item.value is not None):
        raise fail(item, cls.name, f"attribute '{name}' has a value")
    if item.value is not None:
        literal(item.value, cls.name)
        if name in cls.constants | set(cls.attributes):
            raise fail(item, cls.name, f"attribute '{name}' is declared twice")
        cls.constants.add(name)
        return
    _add_attribute(cls, name, declared, item)


def _add_attribute(cls: Class, name: str, declared: Type, node: ast.AST) -> None:
    if name in cls.attributes or name in cls.constants:
        raise fail(node, cls.name, f"attribute '{name}' is declared twice")
    cls.attributes[name] = declared


def _declare_special(item: ast.Assign, cls: Class) -> None:
    """``__parameters__ = [...]``, ``__buffers__ = [...]`` and ``__annotations__["0"] = type``."""
    target = item.targets[0]
    if len(item.targets) == 1 and isinstance(target, ast.Name) and target.id in ("__parameters__", "__buffers__"):
        names = item.value.elts if isinstance(item.value, ast.List) else [item.value]
        if all(isinstance(n, ast.Constant) and isinstance(n.value, str) and re.fullmatch(r"[A-Za-z0-9_]+", n.value) for n in names):
            return
    if len(item.targets) == 1 and isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
        key = target.slice.value if isinstance(target.slice, ast.Constant) else None
        if target.value.id == "__annotations__" and isinstance(key, str) and re.fullmatch(r"[A-Za-z0-9_]{1,100}", key) and key[:2] != "__":
            _add_attribute(cls, key, parse_type(item.value, cls.name), item)
            return
    raise fail(item, cls.name, "an assignment in a class that is not a declaration")


def _check_calls(calls: Mapping[str, tuple[int, list[str]]]) -> None:
    """No recursion, and the whole tree of calls, written out, stays small."""
    cost: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> int:
        if name in path:
            raise Refused(f"{shown(name)} calls itself")
        if len(path) > MAX_DEPTH:
            raise Refused("calls are nested too deeply")
        if name not in cost:
            size, called = calls[name]
            cost[name] = size + sum(visit(c, (*path, name)) for c in called)
            if cost[name] > MAX_COST:
                raise Refused(f"the calls of {shown(name)} written out are too large")
        return cost[name]

    for name in calls:
        visit(name, ())
