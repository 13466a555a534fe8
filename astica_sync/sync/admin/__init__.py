"""Changes that no push makes: creating a model, removing what was made elsewhere, pruning the backup."""
