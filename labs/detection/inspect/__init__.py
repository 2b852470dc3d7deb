"""Looks into a detector: what ails it, what it sees, others beside it, and its export."""
