"""Checks the body of one function of a TorchScript archive; see `code`."""

from __future__ import annotations

import ast
import re

from .pickles import Refused
from .strict import shown
from .syntax import ADVICE, CONVERSIONS, KEYWORDS, OPERATORS, Class, Code, dotted_name, fail, has_class, literal, ordinary, parse_type


class Function:
    """Checks one function; `classes` maps local names to the class of the module that they hold."""

    def __init__(self, node: ast.FunctionDef, where: str, owner: Class | None, code: Code) -> None:
        self.node, self.where, self.owner, self.code = node, where, owner, code
        self.values: set[str] = set()
        self.classes: dict[str, str] = {}
        self.functions: dict[str, str] = {}
        self.calls: list[str] = []

    def check(self) -> tuple[int, list[str]]:
        """Return the size of the function and the qualified names that it calls."""
        if self.node.decorator_list or getattr(self.node, "type_params", None):
            raise self.fail(self.node, "a decorator")
        self._arguments(self.node.args)
        if self.node.returns is not None and has_class(parse_type(self.node.returns, self.where)):
            raise self.fail(self.node, "a function that returns a module")
        if self.node.name == "__len__":
            body = self.node.body[0]
            if (
                len(self.node.body) != 1
                or not isinstance(body, ast.Return)
                or body.value is None
                or type(literal(body.value, "")) is not int
            ):
                raise self.fail(self.node, "__len__ that does not return a constant")
        self._body(self.node.body)
        return sum(1 for _ in ast.walk(self.node)), self.calls

    def fail(self, node: ast.AST, what: str) -> Refused:
        """A refusal that names this function and the line of `node`."""
        return fail(node, self.where, what)

    def _arguments(self, a: ast.arguments) -> None:
        if a.posonlyargs or a.kwonlyargs or a.vararg or a.kwarg:
            raise self.fail(self.node, "unusual arguments")
        for default in a.defaults:
            literal(default, self.where)
        if self.owner is not None and not a.args:
            raise self.fail(self.node, "a method without self")
        for i, arg in enumerate(a.args):
            name, declared = ordinary(arg.arg, arg, self.where), parse_type(arg.annotation, self.where)
            if self.owner is not None and i == 0:
                if declared != ("class", self.owner.name):
                    raise self.fail(arg, "self is not of its own class")
                self.classes[name] = self.owner.name
            elif has_class(declared):
                raise self.fail(arg, "a module as argument")
            elif name in self.values or name in self.classes:
                raise self.fail(arg, "an argument given twice")
            else:
                self.values.add(name)

    def _body(self, body: list[ast.stmt]) -> None:
        for node in body:
            self._statement(node)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            self._assign(node.targets[0], node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None and isinstance(node.target, ast.Name):
            if has_class(parse_type(node.annotation, self.where)):
                raise self.fail(node, "a module as value")
            self._value(node.value)
            self._bind(node.target)
        elif isinstance(node, ast.Return):
            if node.value is not None:
                self._value(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self._value(node.value)
        elif isinstance(node, ast.If):
            self._value(node.test)
            self._body(node.body)
            self._body(node.orelse)
        elif not isinstance(node, ast.Pass):
            raise self.fail(node, f"statement {type(node).__name__} is not permitted ({ADVICE})")

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        dotted = dotted_name(value)
        if dotted in self.code.functions and isinstance(target, ast.Name):  # a long name gets a short one: _0 = __torch__.a.b.f
            name = ordinary(target.id, target, self.where)
            if name in self.values or name in self.classes or self.functions.get(name, dotted) != dotted:
                raise self.fail(target, f"name '{name}' changes its meaning")
            self.functions[name] = dotted
            return
        cls = self._class_of(value)
        if cls is not None and isinstance(target, ast.Name):
            name = ordinary(target.id, target, self.where)
            if name in self.values or name in self.functions or self.classes.get(name, cls) != cls:
                raise self.fail(target, f"name '{name}' changes its meaning")
            self.classes[name] = cls
            return
        self._value(value)
        for part in target.elts if isinstance(target, ast.Tuple) else [target]:
            self._bind(part)

    def _bind(self, target: ast.expr) -> None:
        if not isinstance(target, ast.Name):
            raise self.fail(target, "an assignment to something that is not a local name")
        if target.id in self.classes or target.id in self.functions:
            raise self.fail(target, f"name '{shown(target.id, 40)}' changes its meaning")
        self.values.add(ordinary(target.id, target, self.where))

    def _class_of(self, node: ast.expr) -> str | None:
        """Qualified class of an expression that is a module; None for values."""
        if isinstance(node, ast.Name):
            return self.classes.get(node.id)
        owner, attribute = self._attribute_of(node)
        declared = self.code.classes[owner].attributes.get(attribute, ()) if owner else ()
        return str(declared[1]) if declared and declared[0] == "class" else None

    def _attribute_of(self, node: ast.expr) -> tuple[str, str]:
        """(class, attribute) of ``name.attribute`` and ``getattr(name, "attribute")``; empty otherwise."""
        base, attribute = None, ""
        if isinstance(node, ast.Attribute):
            base, attribute = node.value, node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            key = node.args[1] if len(node.args) == 2 and not node.keywords else None
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                raise self.fail(node, "getattr with something that is not a constant")
            base, attribute = node.args[0], key.value
        owner = self._class_of(base) if base is not None else None
        if owner is None:
            return "", ""
        cls = self.code.classes[owner]
        if attribute.startswith("__") or (attribute not in cls.attributes and attribute not in cls.constants):
            raise self.fail(node, f"attribute '{shown(attribute, 40)}' is not declared in {shown(owner)}")
        return owner, attribute

    def _value(self, node: ast.expr) -> None:
        """An expression that is a value, not a module."""
        if isinstance(node, (ast.Constant, ast.UnaryOp)):
            literal(node, self.where)
        elif isinstance(node, ast.Name):
            if node.id not in self.values:
                raise self.fail(node, f"name '{shown(node.id, 40)}' is not a local value")
        elif isinstance(node, ast.Attribute):
            self._attribute(node)
        elif isinstance(node, ast.Subscript):
            self._value(node.value)
            parts = [node.slice.lower, node.slice.upper, node.slice.step] if isinstance(node.slice, ast.Slice) else [node.slice]
            for part in parts:
                if part is not None:
                    self._value(part)
        elif isinstance(node, (ast.Tuple, ast.List)):
            for item in node.elts:
                self._value(item)
        elif isinstance(node, ast.Call):
            self._call(node)
        else:
            raise self.fail(node, f"{type(node).__name__} is not permitted ({ADVICE})")

    def _attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id == "CONSTANTS":
            found = re.fullmatch(r"c([0-9]{1,4})", node.attr)
            if not found or int(found[1]) >= self.code.constants:
                raise self.fail(node, f"constant '{shown(node.attr, 20)}' is not in the archive")
            return
        owner, _ = self._attribute_of(node)
        if not owner:
            raise self.fail(node, f"attribute '{shown(node.attr, 40)}' of something that is not a module of the archive ({ADVICE})")
        if self._class_of(node) is not None:
            raise self.fail(node, "a module used as a value")

    def _call(self, node: ast.Call) -> None:
        dotted = dotted_name(node.func)
        if dotted in self.functions and not node.keywords:
            self.calls.append(self.functions[dotted])
        elif isinstance(node.func, ast.Name):
            self._builtin(node, node.func.id)
            return
        elif dotted.startswith("torch."):
            if dotted.count(".") != 1 or dotted[6:] not in OPERATORS:
                raise self.fail(node, f"operator '{shown(dotted, 60)}' is not permitted ({ADVICE})")
            if any(k.arg not in KEYWORDS for k in node.keywords):
                raise self.fail(node, f"an argument of '{dotted}' that is not permitted")
        elif dotted.startswith("__torch__."):
            if dotted not in self.code.functions or node.keywords:
                raise self.fail(node, f"'{shown(dotted)}' is not a function of the archive")
            self.calls.append(dotted)
        elif isinstance(node.func, ast.Attribute) and (owner := self._class_of(node.func.value)) is not None:
            method = node.func.attr
            if method.startswith("__") or method not in self.code.classes[owner].methods or node.keywords:
                raise self.fail(node, f"'{shown(method, 40)}' is not a method of {shown(owner)}")
            self.calls.append(f"{owner}.{method}")
        else:
            raise self.fail(node, f"call of '{shown(dotted, 60)}' is not permitted ({ADVICE})")
        for argument in [*node.args, *(k.value for k in node.keywords)]:
            self._value(argument)

    def _builtin(self, node: ast.Call, name: str) -> None:
        if name == "getattr":
            owner, _ = self._attribute_of(node)
            if not owner or self._class_of(node) is not None:
                raise self.fail(node, "getattr of something that is not a value of a module")
            return
        typed = {"annotate": 2, "unchecked_cast": 2, "uninitialized": 1}.get(name)
        if (typed is None and name not in CONVERSIONS) or node.keywords or len(node.args) != (typed or 1):
            raise self.fail(node, f"call of '{shown(name, 40)}' is not permitted")
        if typed and has_class(parse_type(node.args[0], self.where)):
            raise self.fail(node, "a module as value")
        for argument in node.args[1 if typed else 0 :]:
            self._value(argument)
