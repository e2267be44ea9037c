"""Generates the source of a plan's local kinetics: gates, reactions and membrane fluxes at one node, with everything unrolled.

A generated module holds functions of arrays and floats (see `kernels.native`); parameters stay arguments, so that it depends on structure
only.

`LocalKinetics` writes the loops (over lanes of 64 nodes) that advance all concentrations of a node over h with gates fixed: ROS2 with the
flux of every channel accounted for, so that what leaves one side is what enters the other. Without channels it is the reaction kernel
of a region's interior.

ROS2 (Verwer, Spee, Blom & Hundsdorfer 1999, doi 10.1137/S1064827597326651), second order for any Jacobian:
``(I - g h J) k1 = F(u);  (I - g h J) k2 = F(u + h k1) - 2 k1;  u' = u + h (3 k1 + k2) / 2`` with g = 1 - 1/sqrt(2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..networks.prepared import gate_of
from ..plan.specs import Binding, ChannelSpec, Decay, PortRef
from .derivative import Tangent
from .lanes import GAMMA, Lanes, lu_factor, lu_solve
from .learned import Learned, gate_lines, value_lines
from .module import AT, Module, bundle


def _port(p: PortRef, u: str, shifted: bool) -> str:
    if p.kind == "field":
        return f"({u}{p.index} + d{p.index})" if shifted else f"{u}{p.index}"
    return {"value": f"e{p.index}", "rate": f"y{p.index}", "place": f"y{p.index}", "v": "v", "t": "t"}[p.kind]


Own = Callable[[int, ChannelSpec], list[str] | None]

SAFE_GAMMA = 1.0 + 1.0 / math.sqrt(2.0)
LEAST = 0.05
"""No stage is evaluated below this part of a concentration. It acts only in steps that lose 19 parts of 20; what the fluxes at the stage
carry is booked as they are, whatever it is."""
LEVELS = 5
"""Lanes that become negative are repeated in at most 4**5 parts of the step; what is negative then is for the control of the step."""


@dataclass(frozen=True)
class LocalKinetics:
    """Text generator for the kinetics of one node (see the module docstring).

    Fields are numbered as in the caller's `u{f}` variables; `sources` are the fields with a stimulus (`s{f}`, uM/ms).
    """

    fields: tuple[int, ...]
    channels: tuple[ChannelSpec, ...]
    bindings: tuple[Binding, ...]
    decays: tuple[Decay, ...]
    sources: tuple[int, ...]

    def prologue(self, module: Module) -> list[str]:
        """Loop-invariant statements: parameters into local names."""
        lines = []
        for m, c in enumerate(self.channels):
            lines.append(f"q{m} = {bundle('Q', module.key(c.cls), [f'P[{c.param + k}]' for k in range(len(c.cls.params))])}")
            lines += [f"e{p.index} = P[{p.index}]" for p in c.ports if p.kind == "value"]
        for b in self.bindings:
            lines.append(f"kon{b.free}, koff{b.free}, total{b.free} = P[{b.param}], P[{b.param + 1}], P[{b.param + 2}]")
        for d in self.decays:
            lines.append(f"kd{d.field}, rest{d.field} = P[{d.param}], P[{d.param + 1}]")
        return list(dict.fromkeys(lines))

    def ports(self, c: ChannelSpec, u: str, shift: int = -1) -> list[str]:
        """Expressions of a channel's ports with fields called `u`; field `shift` is perturbed."""
        return [_port(p, u, p.kind == "field" and p.index == shift) for p in c.ports]

    def _states(self, c: ChannelSpec) -> list[str]:
        return [f"y{c.state + k}" for k in range(len(c.cls.states))]

    def flux(self, module: Module, m: int, u: str, shift: int = -1) -> str:
        """Expression of channel m's flux density at fields `u`."""
        c = self.channels[m]
        key = module.key(c.cls)
        weight = f" * weight{m}" if c.weight >= 0 else ""
        return f"flux_{key}({bundle('Y', key, self._states(c))}, {bundle('X', key, self.ports(c, u, shift))}, q{m}){weight}"

    def gates(self, module: Module, lanes: Lanes, step: str, own: Own | None = None, paced: bool = False) -> list[str]:
        """Loops that advance every channel's states over `step` at the fields `u`.

        Where `own` returns statements for a channel, these are taken instead. Channels that are paced are left out unless asked for.
        """
        lines = []
        for m, c in enumerate(self.channels):
            if not c.cls.states or (c.paced and not paced):
                continue
            if own is not None and (found := own(m, c)) is not None:
                lines += found
                continue
            key, ys = module.key(c.cls), self._states(c)
            if c.cls.rates is None:
                lines += self._learned(module, lanes, m, step)
                continue
            zs, comma = [f"z{k}" for k in range(len(ys))], "," if len(ys) == 1 else ""
            arguments = f"({', '.join(ys)}, {bundle('X', key, self.ports(c, 'u'))}, q{m}, {step})"
            new = [f"n{y}" for y in ys]
            body = [f"{', '.join(new)}{comma} = gate_{key}{arguments}", f"count += 1 if outside_{key}({', '.join(new)}) else 0"]
            lines += ["count = 0", *lanes.loop(body, new), "if count > 0:"]
            redo = [f"if outside_{key}({', '.join(new)}):", f"    {', '.join(zs)}{comma} = safe_{key}{arguments}"]
            redo += [f"    {y} = {z}" for y, z in zip(new, zs, strict=True)]
            lines += ["    " + line for line in lanes.loop(redo, new)]
            lanes.rename(dict(zip(new, ys, strict=True)))
        return lines

    def values(self, module: Module, lanes: Lanes) -> list[str]:
        """Statements that set the fluxes which networks with states of their own return at once."""
        lines = []
        for m, c in enumerate(self.channels):
            gate = gate_of(c.cls)
            if gate is not None and gate.program is not None and gate.kind == "current" and gate.states:
                lines += value_lines(module.networks, lanes, self._described(m))
        return lines

    def _described(self, m: int) -> Learned:
        c = self.channels[m]
        states = dict(zip(c.cls.states, self._states(c), strict=True))
        return Learned(c.cls, states, dict(zip(c.cls.reads, self.ports(c, "u"), strict=True)), str(m))

    def _learned(self, module: Module, lanes: Lanes, m: int, step: str) -> list[str]:
        """The same for a channel whose gate is a network; nothing where it could not be lowered (the stepper then calls torch)."""
        c = self.channels[m]
        gate = gate_of(c.cls)
        if gate is None or gate.program is None:
            return []
        return gate_lines(module.networks, lanes, self._described(m), step)

    def reads(self, c: ChannelSpec) -> list[int]:
        """Fields that a channel's flux depends on."""
        return sorted({p.index for p in c.ports if p.kind == "field"})

    def _port_slopes(self, module: Module, c: ChannelSpec) -> dict[int, list[Tangent]] | None:
        """Derivatives of a channel's flux by field, one for each port that reads it; None where they are not known."""
        reading = {name: p.index for name, p in zip(c.cls.reads, c.ports, strict=True) if p.kind == "field"}
        found = module.slopes(c.cls, "flux", 1, reading)
        if found is None:
            return None
        return {f: [found[name] for name in reading if reading[name] == f and found[name].active] for f in self.reads(c)}

    def depends(self, module: Module, m: int) -> list[int]:
        """Fields with respect to which the flux of channel m has a slope."""
        found = self._port_slopes(module, self.channels[m])
        return self.reads(self.channels[m]) if found is None else [f for f, tangents in found.items() if tangents]

    def slopes(self, module: Module, m: int) -> list[str]:
        """Statements for the flux ``f{m}`` of channel m and its derivatives ``j{m}_{f}`` at the fields ``u{f}``."""
        c = self.channels[m]
        found = self._port_slopes(module, c)
        body = [f"f{m} = {self.flux(module, m, 'u')}"]
        if found is None:
            for f in self.reads(c):
                body.append(f"d{f} = {2.0**-20!r} * abs(u{f}) + {2.0**-40!r}")
                body.append(f"j{m}_{f} = ({self.flux(module, m, 'u', f)} - f{m}) / d{f}")
            return body
        given = self.flux(module, m, "u").partition("(")[2].removesuffix(f" * weight{m}")
        for f, tangents in found.items():
            body += [f"same, slope{k} = {t.name}({given}" for k, t in enumerate(tangents)]
            total = " + ".join(f"slope{k}" for k in range(len(tangents)))
            body += [f"j{m}_{f} = {f'({total}) * weight{m}' if c.weight >= 0 else total}"] if tangents else []
        return body

    def _attempt(self, module: Module, lanes: Lanes) -> list[str]:
        """Loops of one step of ROS2 over h, and the number of lanes that it takes below zero.

        Every channel has loops of its own, so that one which cannot be vectorised (it calls ``exp``) does not slow down the others; without
        channels all is one loop, which hands over nothing.
        """
        order = self._order()
        at = range(len(order))
        lines = ["g = gamma * h"]
        for m in range(len(self.channels)):
            lines += lanes.loop(self.slopes(module, m), [f"f{m}", *(f"j{m}_{f}" for f in self.depends(module, m))])
        pattern, matrix = self._matrix(module, order)
        factor, filled = lu_factor(len(order), pattern, "w")
        body = [*self._rates("u", "f", "r", "z", order, "F"), *matrix, *factor, *lu_solve(len(order), filled, "w", "F")]
        # a channel is not shown what a step that is too long makes of a concentration: the result is repeated in parts, or refused
        body += [f"stage{f} = max(u{f} + h * F{k}, {LEAST!r} * u{f})" for k, f in enumerate(order)]
        kept = [f"w{i}_{j}" for i in at for j in at if (i, j) in filled and i != j] + [f"wd{i}" for i in at]
        if self.channels:
            lines += lanes.loop(body, [*kept, *(f"F{k}" for k in at), *(f"stage{f}" for f in order)])
            body = []
        for m in range(len(self.channels)):
            lines += lanes.loop([f"later{m} = {self.flux(module, m, 'stage')}"], [f"later{m}"])
        body += self._corrected(module, "f", "r", "z", "F", order, "p", self._rates_only("u", "r", "z"))
        body += [*self._rates("stage", "later", "r", "z", order, "H"), *(f"H{k} = H{k} - 2.0 * F{k}" for k in at)]
        body += lu_solve(len(order), filled, "w", "H") + self._corrected(module, "later", "r", "z", "H", order, "o", [])
        body += [f"{a}{k} = 0.5 * h * (p{a}{k} + o{a}{k})" for a, k in self._amounts()]
        changing = [f for f in order if self._changes(f)]  # a field that nothing changes is not loaded, so it must not be stored
        body += [*self._update(order), f"count += 1 if {_below(changing)} else 0"]
        return ["count = 0", *lines, *lanes.loop(body, [*self._moved(), *(f"new{f}" for f in changing)])]

    def _moved(self) -> list[str]:
        return [f"m{m}" for m in range(len(self.channels))] + [f"x{d.field}" for d in self.decays]

    def reaction(self, module: Module, lanes: Lanes, tag: str = "") -> list[str]:
        """Statements that advance the fields over h; amounts moved come out as rows ``m{m}`` (channels) and ``x{f}`` (decays).

        The functions that they call are added to the module.
        ``attempt<tag>(b, P, v, t, h, gamma)`` is a step of ROS2 with its parameter g, which returns the number of lanes where a
        concentration has become negative, and ``careful<tag>`` repeats these lanes in parts, with the other root g = 1 + 1/sqrt(2)
        of ROS2. That one keeps the sign of every linear decay (its stability function is positive), where the first overshoots by
        up to a fifth for rates above 2.4/h; a pump that saturates needs parts that are short beside km / vmax, too. Nothing is cut
        off, so that what leaves one side still enters the other.
        """
        lines = self._attempt(module, lanes)
        own = [f for f in self.fields if self._changes(f)]
        at = [*AT, ("h", "double")]
        module.define(f"attempt{tag}", [*at, ("gamma", "double")], [*self.prologue(module), *lines, "return count"])
        attempt = f"attempt{tag}(b, P, v, t, h, {GAMMA!r})"
        if not own:
            return [attempt]
        module.define(f"careful{tag}", at, ["count = 0", *_careful(lanes, own, self._moved(), tag)])
        lanes.rename({f"new{f}": f"u{f}" for f in own})
        return [f"if {attempt} > 0:", f"    careful{tag}(b, P, v, t, h)"]

    def _rates_only(self, u: str, r: str, z: str) -> list[str]:
        return [*self._binding_rates(u, r), *self._decay_rates(u, z)]

    def _amounts(self) -> list[tuple[str, int]]:
        found = [("m", m) for m in range(len(self.channels))]
        return found + [("b", b.free) for b in self.bindings] + [("x", d.field) for d in self.decays]

    def _order(self) -> list[int]:
        """Elimination order: fields with few partners first, so that the factorisation has little fill-in."""
        partners: dict[int, set[int]] = {f: set() for f in self.fields}
        for group in self._groups():
            for f in group:
                partners[f] |= group
        return sorted(self.fields, key=lambda f: (len(partners[f]), f))

    def _groups(self) -> Iterable[set[int]]:
        for c in self.channels:
            yield {f for f, _, _ in c.gains} | set(self.reads(c))
        for b in self.bindings:
            yield {b.free, b.ligand}

    def _binding_rates(self, u: str, r: str) -> list[str]:
        return [
            f"{r}{b.free} = kon{b.free} * {u}{b.ligand} * {u}{b.free} - koff{b.free} * (total{b.free} - {u}{b.free})" for b in self.bindings
        ]

    def _decay_rates(self, u: str, z: str) -> list[str]:
        return [f"{z}{d.field} = kd{d.field} * ({u}{d.field} - rest{d.field})" for d in self.decays]

    def _rates(self, u: str, f: str, r: str, z: str, order: list[int], out: str) -> list[str]:
        return [*self._rates_only(u, r, z), *self._assemble(f, r, z, order, out)]

    def _terms(self, f: int, flux: str, bind: str, decay: str) -> list[str]:
        """Signed contributions to field f, given prefixes of the channel, binding and decay quantities."""
        terms = [f"{float(count)!r} * ratio{row} * {flux}{m}" for m, c in enumerate(self.channels) for g, count, row in c.gains if g == f]
        terms += [f"-{bind}{b.free}" for b in self.bindings if f in (b.free, b.ligand)]
        return terms + [f"-{decay}{d.field}" for d in self.decays if d.field == f]

    def _assemble(self, flux: str, bind: str, decay: str, order: list[int], out: str) -> list[str]:
        lines = []
        for k, f in enumerate(order):
            terms = self._terms(f, flux, bind, decay) + ([f"s{f}"] if f in self.sources else [])
            lines.append(f"{out}{k} = {' + '.join(terms) or '0.0'}".replace("+ -", "- "))
        return lines

    def _matrix(self, module: Module, order: list[int]) -> tuple[set[tuple[int, int]], list[str]]:
        entries: dict[tuple[int, int], list[str]] = {(k, k): [] for k in range(len(order))}
        at = {f: k for k, f in enumerate(order)}
        for m, c in enumerate(self.channels):
            for f, count, row in c.gains:
                for g in self.depends(module, m):
                    entries.setdefault((at[f], at[g]), []).append(f"- g * {float(count)!r} * ratio{row} * j{m}_{g}")
        for b in self.bindings:
            for f in (b.free, b.ligand):
                entries.setdefault((at[f], at[b.free]), []).append(f"+ g * (kon{b.free} * u{b.ligand} + koff{b.free})")
                entries.setdefault((at[f], at[b.ligand]), []).append(f"+ g * kon{b.free} * u{b.free}")
        for d in self.decays:
            entries[at[d.field], at[d.field]].append(f"+ g * kd{d.field}")
        lines = [f"w{i}_{j} = {'1.0' if i == j else '0.0'} {' '.join(terms)}" for (i, j), terms in entries.items()]
        return set(entries), lines

    def _corrected(
        self, module: Module, flux: str, bind: str, decay: str, k: str, order: list[int], out: str, lines: list[str]
    ) -> list[str]:
        """After `lines`: rates of each channel, binding and decay including the implicit term g h J k, so that they add up to k exactly."""
        at = {f: i for i, f in enumerate(order)}
        lines = list(lines)
        for m in range(len(self.channels)):
            lines.append(f"{out}m{m} = {flux}{m}" + "".join(f" + g * j{m}_{f} * {k}{at[f]}" for f in self.depends(module, m)))
        for b in self.bindings:
            slope = f"(kon{b.free} * u{b.ligand} + koff{b.free}) * {k}{at[b.free]} + kon{b.free} * u{b.free} * {k}{at[b.ligand]}"
            lines.append(f"{out}b{b.free} = {bind}{b.free} + g * ({slope})")
        lines += [f"{out}x{d.field} = {decay}{d.field} + g * kd{d.field} * {k}{at[d.field]}" for d in self.decays]
        return lines

    def _changes(self, f: int) -> list[str]:
        """Terms of the change of field f over a step."""
        return self._terms(f, "m", "b", "x") + ([f"h * s{f}"] if f in self.sources else [])

    def _update(self, order: list[int]) -> list[str]:
        lines = []
        for f in order:
            terms = self._changes(f)
            if terms:
                lines.append(f"new{f} = u{f} + ({' + '.join(terms)})".replace("+ -", "- "))
        return lines


def _below(fields: list[int]) -> str:
    """Expression: a field has become negative."""
    return " | ".join(f"((new{f} < 0.0) & (u{f} >= 0.0))" for f in fields) or "False"


def _careful(lanes: Lanes, own: list[int], moved: list[str], tag: str) -> list[str]:
    """Body of `careful`: lanes that came out negative again, in 4, 16, 64 ... parts of the step; the others keep what they have."""
    results, sums = [*(f"new{f}" for f in own), *moved], [f"sum_{name}" for name in moved]
    starts, found = [f"start{f}" for f in own], [f"found_{name}" for name in results]
    begin = [f"start{f} = u{f}" for f in own] + [f"found_{name} = {name}" for name in results]
    begin.append(f"todo = 1.0 if {_below(own)} else 0.0")
    lines = [*lanes.loop(begin, [*starts, *found, "todo"]), "parts = 1"]
    again = [f"new{f} = start{f}" for f in own] + [f"{name} = 0.0" for name in sums] + ["good = 1.0"]
    move = [f"u{f} = new{f}" for f in own]
    part = [f"sum_{name} = sum_{name} + {name}" for name in moved] + [f"good = 0.0 if {_below(own)} else good"]
    take = [f"sum_{name}" if name in moved else name for name in results]
    keep = [f"found_{name} = {new} if (todo > 0.0) & (good > 0.0) else found_{name}" for name, new in zip(results, take, strict=True)]
    keep += ["todo = todo * (1.0 - good)", "count += int(todo)"]
    inner = ["parts *= 4", *lanes.loop(again, [*(f"new{f}" for f in own), *sums, "good"]), "for part in range(parts):"]
    once = [*lanes.loop(move, [f"u{f}" for f in own]), f"attempt{tag}(b, P, v, t, h / parts, {SAFE_GAMMA!r})"]
    inner += ["    " + t for t in [*once, *lanes.loop(part, [*sums, "good"])]]
    inner += ["count = 0", *lanes.loop(keep, [*found, "todo"]), "if count == 0:", "    break"]
    lines += [f"for level in range({LEVELS}):", *("    " + t for t in inner)]
    return lines + lanes.loop([f"{name} = found_{name}" for name in results], results)
