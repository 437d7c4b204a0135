"""Retention: what a lake no longer needs is found, shown, and removed.

    guard        the lock between removal and everything that a removal could take something from
    references   what must stay, and why
    candidates   what may go: old versions, store parts, archives, checkpoints, caches, samples
    collection   the plan of a collection, and its execution
    rules        how many versions stay, and from which age on anything goes
    flow         both as a flow, for a schedule

Other flows import `guard` alone, which knows nothing of ingestion.
"""
