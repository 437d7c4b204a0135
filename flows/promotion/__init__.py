"""Promotion: whether a version may become champion, and making it so.

`gate.py` has the rules and their verdict, `figures.py` what is known of a version, `promotion.py` asks the gate, moves
aliases and keeps the verdict with the version.
"""
