"""Pretrained networks as front ends: recordings to rows on a time grid, stored and read like any features.

Front ends are looked up on a floor below (`sedkit.features.frontends`), which knows this room by its name alone. The
modules are imported wherever a front end is made, so what needs torch is imported inside functions.
"""
