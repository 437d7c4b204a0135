"""Promotion: whether a version may become champion, and making it so.

`gate.toml` has the rules that hold where no others are given, `gate.py` their types, `figures.py` what is known of a
version, `judging.py` the rules applied to it, `verdict.py` and `verdict_page.py` the outcome. `promotion.py` asks the
gate, moves aliases and keeps the verdict with the version; `flow.py` is the Prefect flow.
"""
