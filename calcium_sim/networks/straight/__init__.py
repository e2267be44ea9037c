"""Writes a network out as one list of elementary operations."""
