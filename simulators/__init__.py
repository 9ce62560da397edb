"""Simulated crossbars. The backend "simulated" is the ideal network of the paper's eq. (6)."""
