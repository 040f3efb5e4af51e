"""Which versions of which models there are (`source`), which of them are wanted
(`policy`), and getting them into the engine (`reconciler`)."""
