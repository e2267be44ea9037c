"""What Windows lacks is not needed: a run is saved, measured and described where folders cannot be opened and `resource` is missing."""

import subprocess
import sys
import textwrap

LIKE_WINDOWS = """
import errno, os, sys
import matplotlib.pyplot, netCDF4, numba, pint, scipy.sparse.csgraph, torch, xarray  # as they are here
pint.UnitRegistry(cache_folder=None)("1 um")

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name in ("resource", "fcntl", "pwd", "grp", "termios"):
            raise ImportError(name)

sys.meta_path.insert(0, Nothing())
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules.pop(name, None)
real_open, real_fsync, real_replace = os.open, os.fsync, os.replace
flags = {}

def open_(path, how, mode=0o777, **options):
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    handle = real_open(path, how, mode, **options)
    flags[handle] = how & (os.O_WRONLY | os.O_RDWR)
    return handle

def fsync(handle):
    if handle in flags and not flags[handle]:
        raise OSError(errno.EBADF, "Bad file descriptor")
    synced.append(handle)
    real_fsync(handle)

synced, busy = [], set()

def replace(a, b, **options):
    if str(b) in busy:
        raise PermissionError(errno.EACCES, "Access is denied", str(b))
    real_replace(a, b, **options)

os.open, os.fsync, os.replace = open_, fsync, replace
for name in ("sysconf", "geteuid", "getuid", "sched_getaffinity", "register_at_fork", "fork", "wait4"):
    if hasattr(os, name):
        delattr(os, name)
import select
del select.select
"""


def run(code, folder):
    script = folder / "script.py"
    script.write_text(LIKE_WINDOWS + textwrap.dedent(code))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_result_is_saved_and_read(tmp_path):
    out = run(
        """
        import numpy as np
        import calcium_sim as cs
        from calcium_sim.meshes import well_mixed
        from calcium_sim.description.sizes import physical_memory
        mesh = well_mixed({"cytosol": "1 um^3"}, {"plasma": (("cytosol", "outside"), "6 um^2")})
        ca = cs.Species("ca", {"cytosol": "0 um^2/s"}, {"cytosol": "1 uM", "outside": "1 uM"})
        ds = cs.simulate(cs.Model(mesh, [ca], {"plasma": [cs.get_channel("leak/linear")()]}), until="1 ms", every="0.5 ms")
        for _ in range(2):  # the second replaces the first
            assert np.array_equal(cs.open(cs.save(ds, "wave.nc")).ca, ds.ca)
        assert synced
        assert physical_memory() > 1e9
        busy.add(os.path.abspath("wave.nc"))
        busy.add("wave.nc")
        try:
            cs.save(ds, "wave.nc")
        except cs.StorageError as error:
            print(error)
        print(sorted(os.listdir()))
        """,
        tmp_path,
    )
    assert "wave.nc: cannot be written: Access is denied (is it open in another program?)" in out
    assert "['script.py', 'wave.nc']" in out


def test_every_module_is_imported_and_time_is_measured(tmp_path):
    out = run(
        """
        import importlib, pkgutil
        import calcium_sim
        for found in pkgutil.walk_packages(calcium_sim.__path__, "calcium_sim."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
        from calcium_sim.app.bench import cpu_seconds, machine
        print(cpu_seconds() > 0, machine()["cores"] >= 1)
        """,
        tmp_path,
    )
    assert out.split() == ["True", "True"]


def test_a_network_is_tried(tmp_path):
    """The process of the trial answers through a pipe, for which Windows cannot wait with a limit."""
    out = run(
        """
        from pathlib import Path
        import calcium_sim as cs
        from calcium_sim import channels
        print(cs.load_channel(Path(channels.__file__).parent / "data" / "ip3r-dnn.pt").name)
        """,
        tmp_path,
    )
    assert out.strip() == "ip3r/dnn"
