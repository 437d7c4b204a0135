"""Quality gates: the rules that a version must keep to be published.

`Gates` are the rules with their limits, `check_gates` checks a manifest before anything is encoded and raises
GateError, which names every rule that is broken. Gates say nothing about the content of a version, so its digest
does not cover them; `dataset.json` records the results.
"""

from flows.ingestion.gates.check import GateError, check_gates
from flows.ingestion.gates.rules import RULES, Gates, RuleName
from flows.ingestion.gates.text import amount, describe_broken

__all__ = ["RULES", "GateError", "Gates", "RuleName", "amount", "check_gates", "describe_broken"]
