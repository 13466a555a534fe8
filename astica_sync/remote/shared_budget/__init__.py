"""The request budget that several machines share on a server: Redis or PostgreSQL."""
