"""Retention: what a lake no longer needs is found, shown, and removed.

guard        the lock between removal and everything that a removal could take something from
references   what must stay, and why
candidates   what may go: old versions, store parts, archives, checkpoints, caches, samples
collection   the plan of a collection, and its execution
"""

from flows.retention.collection import Plan, carry_out, plan
from flows.retention.guard import in_use
from flows.retention.rules import RetentionRules

__all__ = ["Plan", "RetentionRules", "carry_out", "in_use", "plan"]
