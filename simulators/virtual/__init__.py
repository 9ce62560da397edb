"""Virtual instruments: servers on loopback that speak each instrument's own language."""
