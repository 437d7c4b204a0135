"""Baselines that the benchmarks measure musenet against: a plain GPT and a back-off n-gram."""
