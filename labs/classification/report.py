"""The run's report."""


def write(job, splits, outputs, metrics):
    """Write it."""
