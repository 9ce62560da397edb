"""Estimates of a bench's read uncertainty. Not part of this version."""
