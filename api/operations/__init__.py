"""What the API offers, operation by operation: the one place from which it is described.

Each module has the operations of one part of it, by endpoint; `table` has them all. A route without
an entry is found by a test, as is an entry without a route.
"""
