"""Buckets of object stores, and a store whose images lie in one."""
