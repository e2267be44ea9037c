"""Rotationally symmetric (z, r) grids: membrane fluxes and radial diffusion are solved jointly."""
