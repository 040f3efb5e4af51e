"""What stops a benchmark: one sentence that says what is wrong and what to do."""


class BenchmarkError(Exception):
    """A benchmark that can't be run, or a server that did not answer as it must."""
