"""The backup: objects, catalogue, manifests, records, restore."""
