"""`/metrics` as Prometheus's own parser reads it."""

import http.client
from collections.abc import Mapping

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_SECONDS = 30.0
TEXT = "text/plain; version=0.0.4"


def get(port: int, path: str = "/metrics", method: str = "GET") -> http.client.HTTPResponse:
    """One request on a connection of its own; the answer is read."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        return ask(connection, path, method)
    finally:
        connection.close()


def ask(
    connection: http.client.HTTPConnection, path: str = "/metrics", method: str = "GET"
) -> http.client.HTTPResponse:
    """One request on an open connection; `.body` of the answer is what came."""
    connection.request(method, path)
    answer = connection.getresponse()
    answer.body = answer.read()
    return answer


class Scrape:
    """All samples of one moment."""

    def __init__(self, text: str):
        self.text = text
        self.families: dict[str, Metric] = {
            family.name: family for family in text_string_to_metric_families(text)
        }
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, labels: Mapping[str, str] | None = None, **more: str) -> float:
        """The one sample of exactly these labels; 0 where there is none."""
        return self.samples.get((name, frozenset({**(labels or {}), **more}.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples that have at least these labels."""
        return sum(
            value
            for (found, having), value in self.samples.items()
            if found == name and having >= labels.items()
        )

    def buckets(self, name: str, **labels: str) -> dict[str, float]:
        """A histogram's cumulative counts by their bound, in the order of the bounds."""
        found = {
            dict(having)["le"]: value
            for (sample, having), value in self.samples.items()
            if sample == f"{name}_bucket" and having >= labels.items()
        }
        return dict(sorted(found.items(), key=lambda item: float(item[0])))


def scrape(port: int) -> Scrape:
    """What `/metrics` says now."""
    answer = get(port)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == TEXT
    return Scrape(answer.body.decode())
