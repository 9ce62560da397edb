"""What a bench's reads are worth: sigma, independence, settling, channels, and N.

Each module holds functions on arrays of reads; none of them needs a device.
"""
