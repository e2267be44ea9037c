"""Hostile code in an otherwise honest archive: refused by its syntax tree."""

from __future__ import annotations

import zipfile

from calcium_sim.admission.admit import admit_bytes

FORWARD = """class Open(Module):
  __parameters__ = []
  __buffers__ = []
  def forward(self: __torch__.Open,
    x: Tensor) -> Tensor:
{body}
"""
BODIES = {
    "import": "    import os\n    return x",
    "lambda": "    f = lambda y: y\n    return x",
    "comprehension": "    y = [x for i in [1, 2]]\n    return x",
    "for": "    for i in [1, 2]:\n      y = x\n    return x",
    "while": "    while True:\n      pass\n    return x",
    "with": "    with x:\n      return x",
    "try": "    try:\n      return x\n    except:\n      return x",
    "binary operator": "    return x + x",
    "walrus": "    return torch.tanh((y := x))",
    "starred": "    return torch.cat(*[x, x])",
    "double star": "    return torch.tanh(x, **x)",
    "f-string": "    y = f'{x}'\n    return x",
    "nested function": "    def g(y: Tensor) -> Tensor:\n      return y\n    return x",
    "nested class": "    class C(Module):\n      pass\n    return x",
    "assert": "    assert x\n    return x",
    "delete": "    del x\n    return x",
    "global": "    global y\n    return x",
    "raise": "    raise x",
    "attribute assignment": "    self.y = x\n    return x",
    "subscript assignment": "    x[0] = x\n    return x",
    "augmented assignment": "    x += x\n    return x",
    "ops call": "    ops.aten.from_file('a', True, 4)\n    return x",
    "ops prim": "    ops.prim.RaiseException('a', 'b')\n    return x",
    "ops attribute": "    y = ops.prim.device(x)\n    return x",
    "torch.ops": "    return torch.ops.aten.relu(x)",
    "torch.load": "    return torch.load('a')",
    "torch.save": "    torch.save(x, 'a')\n    return x",
    "torch.from_file": "    return torch.from_file('/etc/passwd', True, 4)",
    "torch.zeros": "    return torch.zeros([1000000000000])",
    "torch.expand": "    return torch.expand(x, [1000000, 1000000])",
    "torch.rand": "    return torch.rand_like(x)",
    "torch.fill_": "    return torch.fill_(x, 1.)",
    "torch.set_": "    return torch.set_(x, x)",
    "torch.as_strided": "    return torch.as_strided(x, [100], [1], 100000)",
    "torch.to": "    return torch.to(x, 'cuda')",
    "out argument": "    return torch.tanh(x, out=x)",
    "getattr of a name": "    y = 'forward'\n    return getattr(self, y)(x)",
    "getattr dunder": "    y = getattr(self, '__class__')\n    return x",
    "dunder attribute": "    y = x.__class__\n    return x",
    "dunder method": "    y = self.__init__()\n    return x",
    "globals": "    y = globals()\n    return x",
    "open": "    y = open('a')\n    return x",
    "print": "    print(x)\n    return x",
    "exec": "    exec('1')\n    return x",
    "fork": "    y = fork(self, x)\n    return x",
    "tensor method": "    return x.fill_(1.)",
    "tensor data": "    return x.data",
    "unknown name": "    return y",
    "module as value": "    y = [self]\n    return x",
    "module returned": "    return self",
    "recursion": "    return (self).forward(x, )",
    "undeclared attribute": "    return self.w",
    "missing constant": "    return torch.add(x, CONSTANTS.c0)",
    "giant integer": "    return torch.add(x, " + "9" * 4000 + ")",
    "huge integer": "    return torch.add(x, 9223372036854775808)",
    "infinite number": "    return torch.add(x, 1e999)",
    "complex": "    return torch.add(x, 1j)",
    "bytes": "    y = b'a'\n    return x",
    "ellipsis": "    return x[...]",
    "deep nesting": "    return " + "torch.tanh(" * 90 + "x" + ")" * 90,
    "too deep for a parser": "    return " + "(" * 100000 + "x" + ")" * 100000,
    "deep minus": "    return " + "-" * 100000 + "1",
    "NUL": "    return x\0",
    "non-ASCII": "    return x  # \u00e9",
    "comment": "    return x  # type: (int) -> int",
    "coding line": "    # -*- coding: utf-7 -*-\n    return x",
    "form feed": "    \x0creturn x",
    "carriage return": "    y = x\r    return x",
    "line continuation": "    return \\\n x",
    "syntax error": "    return (",
    "escape": "    y = 'a\\x00b'\n    return x",
    "shadowed torch": "    torch = x\n    return torch",
    "module rebinding": "    self = x\n    return self",
    "yield": "    yield x",
    "await": "    await x",
    "conditional expression": "    return x if True else x",
    "boolean operator": "    return True and x",
    "comparison": "    return x < x",
    "not": "    return not x",
}
FILES = {
    "import at the top": "import os\n" + FORWARD.format(body="    return x"),
    "statement at the top": "torch.save(1, 'a')\n" + FORWARD.format(body="    return x"),
    "base class": FORWARD.format(body="    return x").replace("(Module)", "(NamedTuple)"),
    "no base class": FORWARD.format(body="    return x").replace("(Module)", ""),
    "interface": FORWARD.format(body="    return x").replace("(Module)", "(ModuleInterface)"),
    "decorator": FORWARD.format(body="    return x").replace("  def ", "  @staticmethod\n  def "),
    "class decorator": "@torch.save\n" + FORWARD.format(body="    return x"),
    "setstate": FORWARD.format(body="    return x") + "  def __setstate__(self: __torch__.Open, s: Tensor) -> NoneType:\n    return None\n",
    "init": FORWARD.format(body="    return x") + "  def __init__(self: __torch__.Open) -> NoneType:\n    return None\n",
    "len that computes": FORWARD.format(body="    return x") + "  def __len__(self: __torch__.Open) -> int:\n    return len([1])\n",
    "hooks": FORWARD.format(body="    return x").replace("  __buffers__ = []", "  __forward_hooks__ = ['a']"),
    "class statement": FORWARD.format(body="    return x").replace("  __buffers__ = []", "  torch.save(1, 'a')"),
    "class assignment": FORWARD.format(body="    return x").replace("  __buffers__ = []", "  y = torch.zeros([10])"),
    "default that computes": FORWARD.format(body="    return x").replace("x: Tensor)", "x: Tensor=torch.from_file('a'))"),
    "keyword-only": FORWARD.format(body="    return x").replace("x: Tensor)", "*, x: Tensor)"),
    "variadic": FORWARD.format(body="    return x").replace("x: Tensor)", "*x: Tensor)"),
    "self of another class": FORWARD.format(body="    return x").replace("self: __torch__.Open", "self: Tensor"),
    "type that runs": FORWARD.format(body="    return x").replace("x: Tensor)", "x: torch.save('a'))"),
    "dictionary type": FORWARD.format(body="    return x").replace("x: Tensor)", "x: Dict[str, Tensor])"),
    "twice": FORWARD.format(body="    return x") * 2,
    "no forward": FORWARD.format(body="    return x").replace("forward", "backward"),
    "empty": "",
    "explosion": FORWARD.format(body="    return (self).f39(x, )")
    + "  def f0(self: __torch__.Open, x: Tensor) -> Tensor:\n    return x\n"
    + "".join(
        f"  def f{i}(self: __torch__.Open, x: Tensor) -> Tensor:\n    return (self).f{i - 1}((self).f{i - 1}(x, ), )\n"
        for i in range(1, 40)
    ),
    "mutual recursion": FORWARD.format(body="    return (self).g(x, )")
    + "  def g(self: __torch__.Open, x: Tensor) -> Tensor:\n    return (self).forward(x, )\n",
}


def test_hostile_code_is_refused(tools, check_refused) -> None:
    """Every construct outside the allow-list, in a function body or at the level of class and file."""
    texts = {**{k: FORWARD.format(body=v) for k, v in BODIES.items()}, **{f"file: {k}": v for k, v in FILES.items()}}
    told = check_refused({k: tools.pack(tools.simple(v)) for k, v in texts.items()})
    expected = {
        "ops call": "'ops.aten.from_file' is not permitted",
        "recursion": "calls itself",
        "while": "statement While is not permitted",
        "file: explosion": "written out are too large",
        "file: setstate": "__setstate__",
    }
    for name, part in expected.items():
        assert part in told[name], f"{name}: {told[name]}"


def test_the_base_of_the_corpus_is_admitted(tools) -> None:
    """Without the change that makes it hostile, the same archive passes."""
    assert admit_bytes(tools.pack(tools.simple()), "a.pt").card.name == "test/open"
    assert admit_bytes(tools.pack(tools.simple(), method=zipfile.ZIP_DEFLATED), "a.pt").card.kind == "open_prob"
