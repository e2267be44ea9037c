"""One of the cells of `potential.py` in Jaxley: run by an interpreter that has it, with a job in JSON; answers with a line of JSON.

Gates by exponentials at the potential of the step before, as Jaxley has them; its implicit Euler method or Crank-Nicolson for the potential.
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import jaxley as jx
import numpy as np
from jaxley.channels import Channel

jax.config.update("jax_enable_x64", True)


def linoid(x, k):
    """x / (1 - exp(-x/k))."""
    y = x / k
    near = jnp.abs(y) < 1e-6
    safe = jnp.where(near, 1.0, y)
    return k * jnp.where(near, 1.0 + 0.5 * y, safe / -jnp.expm1(-safe))


class Squid(Channel):
    """Sodium, potassium and leak of the squid axon at 6.3 C."""

    def __init__(self):
        self.current_is_in_mA_per_cm2 = True
        super().__init__("Squid")
        self.channel_params, self.current_name = {}, "i_Squid"
        self.channel_states = {f"Squid_{n}": 0.5 for n in "mhn"}

    def rates(self, v):
        """Opening and closing rates [1/ms]."""
        e = jnp.exp
        return {
            "m": (0.1 * linoid(v + 40, 10), 4 * e(-(v + 65) / 18)),
            "h": (0.07 * e(-(v + 65) / 20), 1 / (1 + e(-(v + 35) / 10))),
            "n": (0.01 * linoid(v + 55, 10), 0.125 * e(-(v + 65) / 80)),
        }

    def update_states(self, states, dt, v, params):
        """Gates after a step."""
        out = {}
        for n, (a, b) in self.rates(v).items():
            out[f"Squid_{n}"] = a / (a + b) + (states[f"Squid_{n}"] - a / (a + b)) * jnp.exp(-dt * (a + b))
        return out

    def compute_current(self, states, v, params):
        """Current [mA/cm^2]."""
        m, h, n = (states[f"Squid_{k}"] for k in "mhn")
        return 0.12 * m**3 * h * (v - 50) + 0.036 * n**4 * (v + 77) + 0.0003 * (v + 54.4)

    def init_state(self, states, v, params, delta_t):
        """Steady gates."""
        return {f"Squid_{n}": a / (a + b) for n, (a, b) in self.rates(v).items()}


def cell_of(job):
    """The cell, and where current enters."""
    if job["swc"]:
        cell = jx.read_swc(job["swc"], ncomp=1)
        for k in range(len(cell.xyzr)):
            length = float(cell.branch(k).nodes["length"].sum())
            cell.branch(k).set_ncomp(max(1, round(length / job["spacing"])))
        place = cell.soma.comp(0)
    else:
        cell = jx.Cell(jx.Branch(jx.Compartment(), ncomp=round(1000 / job["spacing"])), parents=[-1])
        cell.set("length", job["spacing"])
        cell.set("radius", 1.0)
        place = cell.branch(0).comp(0)
    for name, number in (("axial_resistivity", 100.0), ("capacitance", 1.0), ("v", -65.0)):
        cell.set(name, number)
    cell.insert(Squid())
    place.record("v", verbose=False)
    return cell, place


def main():
    """Run the job."""
    job = json.loads(sys.argv[1])
    cell, place = cell_of(job)
    out = []
    for solver, dt in job["runs"]:
        cell.init_states(delta_t=dt)
        cell.delete_stimuli()
        place.stimulate(jx.step_current(job["start"], 1e3, job["current"], dt, job["end"]), verbose=False)
        program = jax.jit(lambda dt=dt, solver=solver: jx.integrate(cell, delta_t=dt, solver=solver)).lower().compile()
        best = 1e9
        for _ in range(job["repeats"] if dt > 0.0006 else 1):
            begin = time.process_time()
            v = np.asarray(program())[0]
            best = min(best, time.process_time() - begin)
        out.append((np.interp(job["times"], dt * np.arange(len(v)), v).tolist(), best))
    nodes = cell.nodes
    area = float((2 * np.pi * nodes["radius"] * nodes["length"]).sum())
    print("RESULT" + json.dumps({"runs": out, "segments": len(nodes), "area": area}))


main()
