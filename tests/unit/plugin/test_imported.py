"""What is compiled is what was imported, whatever has become of the file since; and a result names the code that ran."""

import doctest
import importlib
import json
import math
import sys
from types import SimpleNamespace

import pytest

import calcium_sim as cs
from calcium_sim.compile.embed import digest, embed
from calcium_sim.plugin.imported import definition
from calcium_sim.results.dataset import sources

HEAD = '"""Channels."""\nfrom calcium_sim import Channel, channel\nfrom helper_of_{0} import scaled\n\nFACTOR = 1.0\n'
CHANNEL = '''

@channel("{0}/{1}")
class {1}(Channel):
    """A flux."""

    across = ("outside", "cytosol")
    reads = {{"ca": "ca@cytosol"}}
    params = {{"k": (0.01, "um/ms")}}

    @staticmethod
    def flux(y, x, p):
        return {2}
'''
HELPER = '"""Helper."""\n\n\ndef scaled(a):\n    return 2.0 * a\n'


@pytest.fixture
def plugin(tmp_path, monkeypatch, request):
    """A module of two channels and a helper in a file beside it; functions that write them anew."""
    name = f"plugin_{abs(hash(request.node.name))}"
    monkeypatch.syspath_prepend(tmp_path)
    file, helper = tmp_path / f"{name}.py", tmp_path / f"helper_of_{name}.py"
    head = HEAD.format(name)
    one, two = CHANNEL.format(name, "One", "p.k * scaled(FACTOR)"), CHANNEL.format(name, "Two", "-p.k * 3.0 * x.ca  + 0.0  ")
    file.write_text(head + one + two)
    helper.write_text(HELPER)
    importlib.invalidate_caches()
    module = importlib.import_module(name)
    yield SimpleNamespace(module=module, file=file, helper=helper, head=head, one=one, two=two)
    sys.modules.pop(name)
    sys.modules.pop(helper.stem)


def compiled(cls, x):
    """The flux as it is embedded, called at one concentration with the default parameter."""
    found = {}
    name = embed(cls.flux, found, cls.label())
    scope = {"math": math}
    for text in found.values():
        exec(text, scope)
    return scope[name](None, SimpleNamespace(ca=x), SimpleNamespace(k=0.01))


def edits(plugin):
    """The file and the helper's file after several edits."""
    yield "classes change places", plugin.head + plugin.two + plugin.one, HELPER
    yield "a number changes", plugin.head.replace("1.0", "7.0") + plugin.one.replace("p.k *", "p.k * 7.0 *") + plugin.two, HELPER
    yield "lines are added", "# one\n# two\n" + plugin.head + plugin.one + plugin.two, HELPER
    yield "the helper changes", plugin.head + plugin.one + plugin.two, HELPER.replace("2.0", "5.0")
    yield "no Python any more", "def (", "class"
    yield "empty", "", ""


def test_an_edit_after_the_import_changes_nothing(plugin):
    one, two = plugin.module.One, plugin.module.Two
    before = digest(one), digest(two)
    for what, text, helper in edits(plugin):
        plugin.file.write_text(text)
        plugin.helper.write_text(helper)
        assert compiled(one, 1.5) == 0.01 * 2.0, what
        assert compiled(two, 1.5) == -0.01 * 3.0 * 1.5, what
        assert (digest(one), digest(two)) == before, what
    plugin.file.unlink()
    assert compiled(two, 1.5) == -0.01 * 3.0 * 1.5


def test_a_module_that_is_imported_again_is_what_runs(plugin):
    old = plugin.module.One
    plugin.file.write_text(plugin.head + plugin.one.replace("p.k *", "p.k * 7.0 *") + plugin.two)
    sys.modules.pop(plugin.module.__name__)
    importlib.invalidate_caches()
    new = importlib.import_module(plugin.module.__name__)
    assert compiled(new.One, 1.0) == 0.01 * 7.0 * 2.0
    assert compiled(old, 1.0) == 0.01 * 2.0
    assert digest(new.One) != digest(old)


def test_a_helper_that_came_later_and_was_edited_is_refused(plugin):
    """Put into the module after its classes were made, from a file that had changed by then: its text was never kept."""
    other = plugin.file.with_name("late.py")
    other.write_text("def scaled(a):\n    return 3.0 * a\n")
    scope = {}
    exec(compile(other.read_text(), str(other), "exec"), scope)
    other.write_text("def scaled(a):\n    return 4.0 * a\n")
    plugin.module.scaled = scope["scaled"]
    with pytest.raises(cs.InputError, match=r"scaled in .*late\.py is not what was imported"):
        compiled(plugin.module.One, 1.0)
    other.write_text("# a comment\n\ndef scaled(a):\n    return 3.0 * a\n")
    assert compiled(plugin.module.One, 1.0) == pytest.approx(0.03)


def test_constants_helpers_and_bases_count_in_the_hash(plugin):
    first = digest(plugin.module.One)
    plugin.module.FACTOR = 2.0
    second = digest(plugin.module.One)
    assert compiled(plugin.module.One, 1.0) == 0.01 * 4.0, "Python's own value of the constant"

    def scaled(a):
        return 9.0 * a

    plugin.module.scaled = scaled
    derived = type("Derived", (plugin.module.One,), {"states": {}})
    assert len({first, second, digest(plugin.module.One)}) == 3
    assert digest(derived) == digest(plugin.module.One), "flux is its base's"


def test_source_of_doctests_cells_and_prompts():
    """Text that lies in no file: a doctest, a cell that linecache knows, and text that nobody kept."""
    cell = CHANNEL.format("test", "Cell", "p.k * 5.0")
    test = doctest.DocTestParser().get_doctest(
        ">>> " + "\n... ".join(line for line in cell.splitlines() if line) + "\n",
        {"Channel": cs.Channel, "channel": cs.channel}, "here", None, 0,
    )  # fmt: skip
    runner, scope = doctest.DocTestRunner(verbose=False), test.globs
    assert runner.run(test, clear_globs=False).failed == 0
    assert compiled(scope["Cell"], 1.0) == 0.05
    space = {"Channel": cs.Channel, "channel": cs.channel}
    exec(cell, space)
    with pytest.raises(cs.InputError, match="the source of flux cannot be read"):
        compiled(space["Cell"], 1.0)


def test_functions_of_a_base_that_is_no_channel_are_kept(tmp_path):
    """A mixin from a file that is gone by the time of the run."""
    file = tmp_path / "mixin.py"
    file.write_text("class Mixin:\n    @staticmethod\n    def flux(y, x, p):\n        return 3.0 * p.k\n")
    scope = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    mixed = type("Mixed", (scope["Mixin"], cs.Channel), {"params": {"k": (0.01, "um/ms")}})
    file.unlink()
    assert compiled(mixed, 1.0) == 0.03


def doubled(function):
    def both(y, x, p):
        return 2.0 * function(y, x, p)

    return both


def any_arguments(function):
    def whatever(*args):
        return function(*args)

    return whatever


def with_default(y, x, p, k=3.0):
    return p.k * k


def minimum(a, b):
    return a - b


class Wrapped(cs.Channel):
    @staticmethod
    @doubled
    def flux(y, x, p):
        return p.k * x.ca


class Shadowed(cs.Channel):
    @staticmethod
    def flux(y, x, p, min=minimum):
        return min(x.ca, p.k)


def test_decorators_and_defaults_are_what_python_runs():
    assert compiled(Wrapped, 3.0) == 2.0 * 0.01 * 3.0
    Wrapped.flux = staticmethod(any_arguments(Wrapped.flux))
    with pytest.raises(cs.InputError, match=r"takes \* or \*\* arguments"):
        compiled(Wrapped, 3.0)
    Wrapped.flux = staticmethod(with_default)
    assert compiled(Wrapped, 3.0) == 0.03
    with_default.__defaults__ = (4.0,)
    assert compiled(Wrapped, 3.0) == 0.04
    with pytest.raises(cs.InputError, match="default that is no number"):
        compiled(Shadowed, 3.0)
    Wrapped.flux = staticmethod(lambda y, x, p: 1.0)
    with pytest.raises(cs.InputError, match="must be a plain function"):
        compiled(Wrapped, 3.0)


def test_a_name_of_the_module_hides_a_builtin():
    """`max` of this module's globals is not Python's."""
    globals()["max"] = minimum
    try:
        scope = {}
        name = embed(hides, scope, "here")
        space = {}
        for text in scope.values():
            exec(text, space)
        assert space[name](5.0) == hides(5.0) == 4.0
    finally:
        del globals()["max"]


def hides(a):
    return max(a, 1.0)


def test_definition_is_a_copy():
    """Whoever changes the tree does not change it for the next."""
    definition(hides, "here").name = "other"
    assert definition(hides, "here").name == "hides"


def test_results_name_networks_by_their_file():
    import hashlib
    from pathlib import Path

    cls = cs.get_channel("ryr/dnn")
    file = Path(cls.gate.file)
    assert digest(cls) == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def test_a_run_records_what_it_ran(plugin):
    mesh = cs.meshes.well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "1 um^2")})
    species = cs.Species("ca", diffusion={"cytosol": "0 um^2/s"}, initial={"cytosol": "1 uM", "outside": "1 uM"})
    model = cs.Model(mesh, [species], {"plasma": [plugin.module.One(), plugin.module.Two()]})
    expected = sources(model)
    simulation = cs.Simulation(model, dt="0.5 ms")
    plugin.module.FACTOR = 7.0  # too late for this run, and for what it says
    simulation.run("1 ms")
    assert json.loads(simulation.observe().attrs["channels"]) == expected
