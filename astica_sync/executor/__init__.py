"""Work on many files behind one call: in threads of this process, or on a Dask cluster."""
