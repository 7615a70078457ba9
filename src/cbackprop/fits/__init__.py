"""Fits of chains: of one, of many side by side, of one whose examples are in several places."""
