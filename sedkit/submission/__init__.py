"""Challenge submissions: formats by year, packing, checking."""
