"""Channels shipped with calcium-sim: one family per file."""

if __name__ == "channels":
    raise ImportError("import calcium_sim.channels instead of the folder channels")
