"""Writes a new domain as the shipped one is written: `make domain`."""
