"""Cells that are not ideal: what is asked of them, what they hold, and what they hold later."""
