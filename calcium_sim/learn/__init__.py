"""Training of learned channels: data, the fit and its result, and a folder for each kind of network; `gates` for tables of one gate."""
