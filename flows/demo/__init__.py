"""The demo: the starter model, trained further on starter music, and what both compose; every stage once.

`flow.py` is the Prefect flow, `plan.py` its parameters, collections and report, `stages.py` a line for each stage,
`summary.py` the report on a terminal.
"""
