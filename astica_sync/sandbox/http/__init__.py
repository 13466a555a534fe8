"""The sandbox's HTTP side: the documented calls, the limit, faults and the request log."""
