"""What ``astica-sync doctor`` looks at, and its report. Nothing here sends a request."""
