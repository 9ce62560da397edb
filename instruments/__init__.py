"""Benches of SMUs and DAQs as a `hilep.crossbar.Crossbar`. Drivers are not part of this version."""
