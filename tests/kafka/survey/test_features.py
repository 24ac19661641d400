from __future__ import annotations

from consumer.contracts.cluster import Unknown
from consumer.kafka.survey.features import FeatureLog


def line(text: str) -> tuple[object, ...]:
    return 7, "%s [%s] %s", "APIVERSION", "rdkafka#producer-1", f"[thrd:a:1]: a:1:   {text}"


def test_what_all_brokers_take_counts() -> None:
    log = FeatureLog()
    log.log(*line("Broker API support:"))
    log.log(*line("ApiKey InitProducerId (22) Versions 0..5"))
    log.log(*line("ApiKey Unknown-74? (74) Versions 0..1"))
    log.log(*line("ApiKey InitProducerId (22) Versions 1..4"))
    log.log(*line("ApiKey InitProducerId (22) Versions 0..9"))
    assert log.apis() == {22: (1, 4), 74: (0, 1)}


def test_silence_is_not_taken_for_an_answer() -> None:
    assert FeatureLog().apis() == Unknown("the client library did not tell")
