"""The service: the only place that speaks HTTP. It knows nothing of the store."""
