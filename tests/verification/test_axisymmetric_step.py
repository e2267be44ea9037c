"""The joint step on (z, r) grids against the same equations integrated by scipy's LSODA from the mesh's edges, volumes and membranes."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import calcium_sim as cs
from calcium_sim import presets
from calcium_sim import units as u
from calcium_sim.channels.ghk import bernoulli, reduced_voltage
from calcium_sim.channels.ryr import KeizerLevine
from calcium_sim.errors import RunStopped
from calcium_sim.meshes import neurite
from calcium_sim.plan.lower import Plan, lower
from calcium_sim.plan.state import Clock, State
from calcium_sim.plugin import Channel
from calcium_sim.schemes.grid.stepper import GridStepper


class Exchanger(Channel):
    """Carries 3 Na in for 1 Ca out; cubic in sodium."""

    across = ("cytosol", "outside")
    reads = {"ca": "ca@cytosol", "na": "na@cytosol", "v": "v"}
    params = {"most": (0.3, "uM*um/ms")}
    moves = {"ca": 1, "na": -3}

    @staticmethod
    def flux(y, x, p):
        return p.most * x.ca / (0.8 + x.ca) * math.exp(-x.v / 100.0) / (1.0 + (x.na / 12000.0) ** 3)


class SodiumPump(Channel):
    """Keeps sodium near 8 mM."""

    across = ("cytosol", "outside")
    reads = {"na": "na@cytosol"}
    params = {"rate": (2e-4, "um/ms")}
    moves = {"na": 1}

    @staticmethod
    def flux(y, x, p):
        return p.rate * (x.na - 8000.0)


class Adapting(Channel):
    """A gate with rates that are not linear in its states, driven by calcium and potential."""

    across = ("outside", "cytosol")
    reads = {"ca": "ca@cytosol", "v": "v", "out": "ca@outside"}
    states = {"m": 0.1, "h": 0.9}
    params = {"most": (2e-3, "um/ms")}

    @staticmethod
    def rates(y, x, p):
        opening = 3.0 / (1.0 + math.exp(-(x.v + 20.0) / 8.0))
        return opening * (1.0 - y.m) ** 2 - 0.8 * y.m * y.h, 0.4 * (1.0 - y.h) - 0.5 * x.ca * y.h * y.m

    @staticmethod
    def flux(y, x, p):
        return p.most * y.m**2 * y.h * (x.out - x.ca) * 0.05


FAST = 220 * u.um2 / u.s
MESH = {"length": 0.6 * u.um, "radius": 0.3 * u.um, "er_radius": 0.12 * u.um, "dims": 2}


def classic() -> cs.Model:
    """Keizer-Levine wave with the default set of pumps and calbindin."""
    calcium = cs.Species("ca", {"cytosol": FAST, "er": FAST}, initial={"cytosol": 0.05 * u.uM, "er": 250 * u.uM, "outside": 1000 * u.uM})
    return cs.Model(
        neurite(**MESH, spacing=0.1 * u.um, radial_spacing=0.05 * u.um),
        species=[calcium],
        buffers=[
            cs.Buffer("calbindin", "ca", "cytosol", total=160 * u.uM, kon=27 / u.uM / u.s, koff=19 / u.s, diffusion=20 * u.um2 / u.s),
        ],
        membranes={
            "er": [
                KeizerLevine(),
                cs.get_channel("leak/linear")(permeability=0.038 * u.um / u.s),
                cs.get_channel("serca/er-inhibited")(density=cs.BALANCE),
            ],
            "plasma": [
                cs.get_channel("pmca/hill2")(density=500 / u.um2),
                cs.get_channel("ncx/hill1")(density=15 / u.um2),
                cs.get_channel("leak/linear")(permeability=cs.BALANCE),
            ],
        },
        stimuli=[cs.Influx("ca", at="left", flux=2500 * u.uM * u.um / u.s, shape="ramp-down", duration=4 * u.ms)],
    )


def mixed() -> cs.Model:
    """Three species, buffers in both regions (one immobile), a decay, an exchanger, channels in parts of a membrane, a potential."""
    species = [
        cs.Species("ca", {"cytosol": FAST, "er": 30 * u.um2 / u.s}, {"cytosol": 0.1 * u.uM, "er": 200 * u.uM, "outside": 1500 * u.uM}),
        cs.Species("na", {"cytosol": 600 * u.um2 / u.s}, {"cytosol": 9000 * u.uM, "outside": 140000 * u.uM}),
        cs.Species("ip3", {"cytosol": 280 * u.um2 / u.s}, {"cytosol": 0.4 * u.uM}, decay=500 / u.s, rest={"cytosol": 0.1 * u.uM}),
    ]
    buffers = [
        cs.Buffer("dye", "ca", "cytosol", total=50 * u.uM, kon=100 / u.uM / u.s, koff=60 / u.s),
        cs.Buffer("calbindin", "ca", "cytosol", total=40 * u.uM, kon=27 / u.uM / u.s, koff=19 / u.s, diffusion=20 * u.um2 / u.s),
        cs.Buffer("calreticulin", "ca", "er", total=3600 * u.uM, kon=0.1 / u.uM / u.s, koff=200 / u.s, diffusion=27 * u.um2 / u.s),
    ]
    er = [
        cs.get_channel("ip3r/li-rinzel")(initial={"h": 0.7}),
        cs.get_channel("serca/hill2")(),
        KeizerLevine(at=lambda x, y, z: x < 0.3, density=2 / u.um2),
    ]
    adapting = Adapting(scale=lambda x, y, z: 1 + x, initial={"m": 0.1, "h": 0.9})
    plasma = [Exchanger(), SodiumPump(), adapting, cs.get_channel("pmca/hill2")()]
    stimuli = [
        cs.Influx("ip3", at="left", flux=300 * u.uM * u.um / u.s, shape="square", duration=5 * u.ms),
        cs.Influx("ca", at=lambda x, y, z: x > 0.4, flux=50 * u.uM * u.um / u.s, duration=5 * u.ms, through="plasma"),
    ]
    mesh = neurite(**MESH, spacing=0.12 * u.um, radial_spacing=0.07 * u.um)
    membranes = {"er": er, "plasma": plasma}
    return cs.Model(mesh, species=species, buffers=buffers, membranes=membranes, stimuli=stimuli, voltage=-10 * u.mV)


def _laplacian(edges, conductance, f):
    matrix = np.zeros((len(f.capacity), len(f.capacity)))
    for (i, j), g in zip(edges, f.diffusion * conductance, strict=True):
        for here, there in ((i, j), (j, i)):
            matrix[here, there] += g / f.capacity[here]
            matrix[here, here] -= g / f.capacity[here]
    return matrix


def _wall(plan, k, membrane):
    f, grid = plan.fields[k], plan.model.mesh.structure
    radii = grid.radii[plan.model.mesh.regions.index(f.region)]
    width = radii[-1] - radii[-2] if plan.model.mesh.membranes[membrane].sides[0] == f.region else radii[1] - radii[0]
    return 0.5 * width / f.diffusion if f.diffusion else 0.0


def right_side(plan: Plan, volts: float):
    """Time derivative of (u, y), straight from the mesh and the channels' Python functions."""
    mesh, nu = plan.model.mesh, len(plan.u0)
    region = [mesh.regions.index(f.region) for f in plan.fields]
    owner = np.searchsorted(mesh.start, mesh.edges[:, 0], side="right") - 1

    def nodes(k, membrane):
        m, f = mesh.membranes[membrane], plan.fields[k]
        return (m.inside if m.sides[0] == f.region else m.outside).astype(int) - f.nodes.start

    places = {(k, m): nodes(k, m) for m in mesh.membranes for k, f in enumerate(plan.fields) if f.region in mesh.membranes[m].sides}
    joined = [mesh.edges[owner == region[k]].astype(int) - f.nodes.start for k, f in enumerate(plan.fields)]
    laplacian = [_laplacian(e, mesh.conductance[owner == r], f) for e, r, f in zip(joined, region, plan.fields, strict=True)]
    tables = [SimpleNamespace(**{n: plan.parameters[g.spec.param + i] for i, n in enumerate(g.channel.params)}) for g in plan.gauges]

    wall = {(k, m): _wall(plan, k, m) for k, m in places}

    def port(r, g, surface):
        return {"value": plan.parameters[r.index], "v": volts}[r.kind] if r.kind != "field" else surface[r.index, g.membrane]

    def course(s, t):
        shape, _, duration, _, _ = s.course
        return 1 - t / duration if shape == 1 else 1.0

    def entering(k, m, t):
        """Flux density of stimuli at the pairs of a membrane."""
        out, f = np.zeros(len(mesh.membranes[m].area)), plan.fields[k]
        for s in plan.sources:
            if (s.field, s.through) == (k, m):
                pairs = np.flatnonzero(np.isin(places[k, m], s.index))
                out[pairs] += course(s, t) * s.rate * f.capacity[s.index] / mesh.membranes[m].area[pairs]
        return out

    def fluxes(c, y, t):
        """Flux of every channel at the concentrations on the membrane: those of the nodes and half a cell of the flux into it."""
        surface, coming = (
            {(k, m): c[plan.fields[k].span][at] for (k, m), at in places.items()},
            {(k, m): entering(k, m, t) for k, m in places},
        )
        for _ in range(10):
            out, added = [], dict(coming)
            for g, p in zip(plan.gauges, tables, strict=True):
                x = SimpleNamespace(**{n: port(r, g, surface) for n, r in zip(g.channel.reads, g.spec.ports, strict=True)})
                states = SimpleNamespace(**{n: y[s] for n, s in zip(g.channel.states, g.states, strict=True)})
                out.append((type(g.channel).flux(states, x, p) * (1.0 if g.weight is None else g.weight), states, x, p))
                for k, count, _ in g.spec.gains:
                    added[k, g.membrane] = added[k, g.membrane] + count * out[-1][0]
            surface = {(k, m): c[plan.fields[k].span][places[k, m]] + wall[k, m] * added[k, m] for k, m in places}
        return out

    def rates(t, w):
        c, y = w[:nu], w[nu:]
        du, dy = np.zeros(nu), np.zeros(len(y))
        for f, matrix in zip(plan.fields, laplacian, strict=True):
            du[f.span] = matrix @ c[f.span]
        for g, (j, states, x, p) in zip(plan.gauges, fluxes(c, y, t), strict=True):
            for k, count, _ in g.spec.gains:
                at = places[k, g.membrane]
                du[plan.fields[k].span][at] += count * j * g.area / plan.fields[k].capacity[at]
            if g.states:
                for s, d in zip(g.states, type(g.channel).rates(states, x, p), strict=True):
                    dy[s] = d
        for b in plan.bindings:
            kon, koff, total = plan.parameters[b.param : b.param + 3]
            free, ligand = plan.fields[b.free].span, plan.fields[b.ligand].span
            bound = koff * (total - c[free]) - kon * c[free] * c[ligand]
            du[free] += bound
            du[ligand] += bound
        for d in plan.decays:
            rate, rest = plan.parameters[d.param : d.param + 2]
            du[plan.fields[d.field].span] -= rate * (c[plan.fields[d.field].span] - rest)
        for s in plan.sources:
            du[plan.fields[s.field].span][s.index] += s.rate * course(s, t)
        return np.concatenate([du, dy])

    return rates


@pytest.mark.parametrize("build", [classic, mixed])
def test_second_order_against_method_of_lines(build):
    """Error against LSODA (rtol 1e-9) falls by four per halving of the step, in concentrations and states alike."""
    model = build()
    plan, end = lower(model, GridStepper.wants), 1.6
    volts = -10.0
    w0 = np.concatenate([plan.u0, plan.y0])
    exact = solve_ivp(right_side(plan, volts), (0, end), w0, method="LSODA", rtol=1e-9, atol=1e-11).y[:, -1]
    assert np.abs(exact / w0 - 1).max() > 0.5, "nothing happened"
    stepper, errors = GridStepper(plan, parallel=False), []
    for steps in (80, 160, 320):
        state = State.start(plan)
        stepper.advance(state, end / steps, steps, Clock(np.zeros(2), np.full(2, volts)))
        got = np.concatenate([state.u, state.y])
        scale = np.concatenate([np.full(len(exact[f.span]), np.abs(exact[f.span]).max()) for f in plan.fields] + [np.ones(len(plan.y0))])
        errors.append(np.abs((got - exact) / scale).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    print(build.__name__, "errors", errors, "orders", orders)
    assert errors[-1] < 5e-4
    assert orders[-1] > 1.8


def test_rest_is_exact_and_amounts_close():
    """Without a stimulus nothing changes by a bit; with one, calcium is conserved to round-off and every lane of an odd tile counts."""
    rest = classic()
    rest = cs.Model(rest.mesh, species=rest.species, buffers=rest.buffers, membranes=rest.membranes)
    ds = cs.simulate(rest, until=2 * u.ms, every=1 * u.ms, dt=0.02 * u.ms)
    assert (ds.ca.values[-1] == ds.ca.values[0]).all()
    for build in (classic, mixed):
        drift = cs.simulate(build(), until=2 * u.ms, every=1 * u.ms).attrs["ledger_drift"]
        assert drift < 1e-13, f"{build.__name__}: {drift}"


def test_same_bits_on_threads_and_split_runs():
    """Tiles do not depend on the number of threads, and a step ends in a state of its own: no half steps are left over."""
    model = classic()
    pumps = {"plasma": [cs.get_channel("pmca/hill2")(), cs.get_channel("leak/linear")(permeability=cs.BALANCE)]}
    mesh = neurite(length=5 * u.um, radius=0.4 * u.um, spacing=0.1 * u.um, radial_spacing=0.05 * u.um, dims=2)
    species = [cs.Species("ca", {"cytosol": FAST}, {"cytosol": 0.05 * u.uM, "outside": 1000 * u.uM})]
    plan = lower(cs.Model(mesh, species=species, buffers=model.buffers, membranes=pumps, stimuli=model.stimuli), GridStepper.wants)
    clock, runs = Clock(np.zeros(2), np.zeros(2)), []
    for parallel, parts in ((False, (40,)), (True, (40,)), (False, (10, 30))):
        stepper, state = GridStepper(plan, parallel=parallel), State.start(plan)
        for steps in parts:
            stepper.advance(state, 0.0125, steps, clock)
        runs.append(state.u)
    assert np.array_equal(runs[0], runs[1])
    np.testing.assert_allclose(runs[2], runs[0], rtol=1e-9)


def test_radial_spacing_converges_at_second_order():
    """Channels see the concentration on the membrane: arrival of a wave at 3 um for 3, 6 and 12 cells across the cytosol."""
    arrivals = []
    for cells in (3, 6, 12):
        plan = lower(_wave(cells), GridStepper.wants)
        stepper, state = GridStepper(plan, parallel=False), State.start(plan)
        span, node = plan.fields[plan.index("ca", "cytosol")], 30 * cells
        seen = [state.u[span.span][node : node + cells].mean()]
        while seen[-1] < 0.5 and state.t < 6:
            stepper.advance(state, 0.0125, 1, Clock(np.zeros(2), np.zeros(2)))
            seen.append(state.u[span.span][node : node + cells].mean())
        arrivals.append(0.0125 * (len(seen) - 2 + (0.5 - seen[-2]) / (seen[-1] - seen[-2])))
    ratio = (arrivals[0] - arrivals[1]) / (arrivals[1] - arrivals[2])
    print("arrivals", arrivals, "ratio", ratio)
    assert abs(ratio) > 2.8


def _wave(cells: int) -> cs.Model:
    model = classic()
    mesh = neurite(
        length=4 * u.um,
        radius=0.3 * u.um,
        er_radius=0.12 * u.um,
        dims=2,
        spacing=0.1 * u.um,
        radial_spacing=0.18 / cells * (1 + 1e-9) * u.um,
    )
    return cs.Model(mesh, species=model.species, buffers=model.buffers, membranes=model.membranes, stimuli=model.stimuli)


class Steep(cs.Channel):
    """A receptor that opens at once with the fourth power of calcium."""

    name, source = "test/steep", "none"
    across = ("er", "cytosol")
    reads: ClassVar = {"ca": "ca@cytosol", "ca_er": "ca@er"}
    params: ClassVar = {"perm": (0.05, "um/ms"), "k": (0.5, "uM")}

    @staticmethod
    def flux(y, x, p):
        up = (x.ca / p.k) ** 4
        return p.perm * up / (1.0 + up) * (x.ca_er - x.ca)


def test_a_flux_too_steep_for_the_cells_at_the_membrane_is_told_and_finer_cells_carry_it():
    """Half a cell times d flux / d c over D is 1.4 at 0.025 um: the concentration on the membrane has more than one solution."""
    for across, stops in (("0.025 um", True), ("0.0125 um", False)):
        mesh = neurite("3 um", "0.4 um", er_radius="0.15 um", spacing="0.05 um", dims=2, radial_spacing=across)
        sim = cs.Simulation(presets.breit_queisser(mesh, buffer="40 uM").swap("ryr/keizer-levine", Steep))
        if stops:
            with pytest.raises(RunStopped, match=r"too wide for so steep a flux .*radial_spacing"):
                sim.advance(0.5)
        else:
            sim.advance(0.5)
            assert sim.concentration("ca").max() > 10.0


def test_a_leak_into_a_drained_cell_moves_what_it_should():
    """Pumps take 10 uM within microseconds, a leak of 1e-9 um/ms goes on: closed form (largest error seen 3e-5; it was 800-fold)."""
    permeability, until = 1e-9, 2.0
    mesh = neurite("6.4 um", "0.3 um", "0.15 um", "0.1 um", dims=2)
    ca = cs.Species("ca", {"cytosol": "220 um^2/s", "er": "100 um^2/s"}, {"cytosol": "0.06 uM", "er": "300 uM", "outside": "1200 uM"})
    leak = cs.get_channel("leak/ghk")(permeability=f"{permeability} um/ms")
    xi = reduced_voltage(2.0, -65.0, 310.0)
    inward = permeability * 1200.0 * bernoulli(xi) * mesh.membranes["plasma"].area.sum() * until
    for value, density in ((8.0, 27000), (9.0, 40000), (10.0, 50000), (11.0, 50000), (12.0, 60000)):
        plasma = [cs.get_channel("pmca/hill2")(density=f"{density} /um^2"), leak]
        stimuli = [cs.Influx("ca", "left", "8000 uM um/s", "0.5 ms", "square"), cs.Set("ca", f"{value} uM", time="0.4 ms")]
        sim = cs.Simulation(cs.Model(mesh, [ca], {"plasma": plasma}, stimuli=stimuli, voltage="-65 mV"))
        sim.advance(until)
        assert sim.frame()["ledger"]["ca"]["channel:plasma:leak/ghk"] == pytest.approx(inward, rel=1e-4)
