"""Challenge submissions: formats by year, packing, checking.

What functions are given by these names is the same everywhere: `form` is the year's format, `findings` (or a `meta`,
which holds them) is where faults are noted, `clips` is the evaluation list, None where it is unknown, and `file` is a
path in the package, as findings name it.
"""
