"""The page: the store in a browser on this machine, served by Starlette and uvicorn."""
