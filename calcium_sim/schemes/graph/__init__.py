"""Any mesh: nodes and edges; explicit stages for diffusion and membrane fluxes."""
