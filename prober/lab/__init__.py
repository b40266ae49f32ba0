"""The embedded demo network: real servers on loopback, with faults to switch on. Imports no layer of the prober."""
