"""The circuit behind a crossbar: lines with resistance, rectifiers, amplifiers, capacitance."""
