"""Fits of one chain, of many chains side by side, and of one chain to examples in shards."""
