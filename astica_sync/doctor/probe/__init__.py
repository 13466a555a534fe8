"""``astica-sync doctor --probe``: tries what the service does on a model of its own."""
