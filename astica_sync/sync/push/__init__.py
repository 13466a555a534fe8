"""A push: rounds of scan, observe, plan and apply."""
