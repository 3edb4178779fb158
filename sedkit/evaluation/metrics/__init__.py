"""One module per metric, all of one shape (see `base`); a module of this folder registers its own."""
