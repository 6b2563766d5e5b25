"""How the control plane is put together: settings, routes, entry points."""
