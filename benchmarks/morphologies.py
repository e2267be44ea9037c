"""Reads a folder of morphologies: accepted, refused and why, with totals beside those of morphio.

``python benchmarks/morphologies.py FOLDER [--mend] [--unit nm] [--min-radius "0.1 um"] [--trees soma]``; looks below the folder for files
that end in swc, asc, h5 or nml. With ``--mend`` a refused file is read again with the arguments that the message names.

Compared are the neurites, from their first point on: length, area and volume of the mesh against sums of cones over morphio's sections
(32-bit, so that 1e-6 is what can be expected; relative to the larger of the total and 1). Not compared: what morphio refuses, files with
trees left out, and somata that hang on a neurite. Somata follow rules of our own, see `from_morphology`.
"""

import argparse
import math
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import calcium_sim as cs
from calcium_sim.meshes import from_morphology

KINDS = (".swc", ".asc", ".h5", ".nml")
MENDS = {"min_radius": "0.1 um", "unit": "nm", "trees": "soma"}
AGREE = 2e-6


def cones(xyz, r, ring):
    """Length, area and volume of a polyline; repeats at its start count only with `ring`."""
    h = np.sqrt((np.diff(xyz, axis=0) ** 2).sum(axis=1))
    if not h.sum():
        return np.zeros(3)
    first = 0 if ring else int(np.argmax(h > 0))
    h, a, b = h[first:], r[first:-1], r[first + 1 :]
    return np.array([h.sum(), (math.pi * (a + b) * np.hypot(h, b - a)).sum(), (math.pi / 3 * h * (a * a + a * b + b * b)).sum()])


def by_morphio(file, scale, least):
    """Length, area and volume of all neurites from their first point on."""
    import morphio

    cell = morphio.Morphology(str(file), warning_handler=morphio.WarningHandlerCollector())
    out = np.zeros(3)
    for s in cell.iter():
        xyz, r = s.points.astype(float) * scale, np.maximum(s.diameters.astype(float) * scale / 2, least)
        unbranched = not s.is_root and len(s.parent.children) == 1  # a step of the radius between the two counts
        if unbranched:
            xyz = np.concatenate([s.parent.points[-1:] * scale, xyz])
            r = np.concatenate([np.maximum(s.parent.diameters[-1:] * scale / 2, least), r])
        out += cones(xyz, r, unbranched)
    return out


def by_mesh(mesh):
    """The same of a mesh: all but the soma's nodes, less the cylinders that lead back to its surface."""
    parent = mesh.structure.parent.astype(int)
    soma = mesh.labels.get("soma", np.zeros(mesh.nodes, bool))
    length = (mesh.distance - mesh.distance[parent])[~soma & ~soma[parent]].sum()
    return np.array([length, mesh.membranes["plasma"].area[~soma].sum(), mesh.volume[~soma].sum()])


def cylinders(file, arguments):
    """Length, area and volume of the cylinders between the soma's surface and the first points of neurites outside, and how the file was read."""
    from calcium_sim.meshes.gaps import reaches
    from calcium_sim.meshes.points import Wanted, prepared
    from calcium_sim.meshes.soma import one_point_soma
    from calcium_sim.meshes.swc import read_points
    from calcium_sim.meshes.tree import without_idle

    wanted = Wanted.checked("", *(arguments.get(k) for k in ("unit", "min_radius", "trees")))
    p = without_idle(one_point_soma(prepared(read_points(file), wanted)))
    long = reaches(p)
    out = np.array([long, 2 * math.pi * p.radius * long, math.pi * p.radius**2 * long]).sum(axis=1)
    return out, wanted


def compared(file, mesh, told, arguments):
    """Largest relative difference from morphio, or why there is none."""
    if file.suffix.lower() == ".nml":
        return "morphio does not read it"
    if any("trees left out" in note for note in mesh.notes):
        return "a part of it"
    if any("root is not part of the soma" in t for t in told):
        return "soma on a neurite"
    out, wanted = cylinders(file, arguments)
    try:
        theirs = by_morphio(file, wanted.scale, wanted.min_radius)
    except Exception as error:
        return f"morphio refuses: {' '.join(str(error).split())[-60:]}"
    return float((np.abs(by_mesh(mesh) - out - theirs) / np.maximum(theirs, 1)).max())


def read(file, given, mend):
    """The mesh or the last refusal, what was told, and the arguments."""
    arguments = dict(given)
    while True:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                return from_morphology(file, "1 um", None, **arguments), [str(w.message) for w in told], arguments
            except cs.InputError as error:
                text = str(error)
        named = next((k for k in MENDS if f"{k} = " in text and k not in arguments), None)
        if not mend or named is None:
            if not (mend and arguments.get("trees") == "soma" and "largest" in text):
                return text, [], arguments
            arguments["trees"] = "largest"
        else:
            arguments[named] = MENDS[named]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mend", action="store_true", help="read refused files again with the arguments that the messages name")
    for name in MENDS:
        parser.add_argument(f"--{name.replace('_', '-')}")
    options = parser.parse_args()
    given = {k: getattr(options, k) for k in MENDS if getattr(options, k) is not None}
    count, worst, nodes = Counter(), 0.0, 0
    for file in sorted(p for p in options.folder.rglob("*") if p.suffix.lower() in KINDS):
        mesh, told, arguments = read(file, given, options.mend)
        name = str(file.relative_to(options.folder))
        if isinstance(mesh, str):
            count["refused"] += 1
            print(f"refused   {name}\n          {mesh}")
            continue
        used = ", ".join(f'{k} = "{v}"' for k, v in arguments.items())
        found = compared(file, mesh, told, arguments)
        count[f"accepted with {', '.join(arguments)}" if arguments else "accepted"] += 1
        count["compared" if isinstance(found, float) else "not compared"] += 1
        nodes += mesh.nodes
        worst = max(worst, found) if isinstance(found, float) else worst
        count["differ"] += isinstance(found, float) and found > AGREE
        area, volume = mesh.membranes["plasma"].area.sum(), mesh.volume.sum()
        verdict = f"morphio within {found:.1e}" if isinstance(found, float) else f"not compared: {found}"
        print(f"accepted  {name}  {mesh.nodes} nodes, {area:.6g} um^2, {volume:.6g} um^3; {verdict}{'; ' + used if used else ''}")
        for line in told:
            print(f"          {line}")
    print(f"\n{sum(v for k, v in count.items() if k.startswith(('accepted', 'refused')))} files, {nodes} nodes at 1 um")
    for key in sorted(count):
        print(f"{count[key]:5d}  {key}")
    print(f"largest difference from morphio {worst:.1e}")


if __name__ == "__main__":
    main()
