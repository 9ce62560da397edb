"""Benches of SMUs and DAQs as a `hilep.crossbar.Crossbar`, and drivers that work alone."""
