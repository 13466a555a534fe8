"""The page where there is no store yet: it offers to make one."""
