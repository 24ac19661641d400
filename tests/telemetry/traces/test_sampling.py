"""Which messages are traced."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from consumer.contracts.errors import SettingsError
from consumer.contracts.traces import TraceParent
from consumer.telemetry.traces.sampling import Sampling, sampling_from

RECORDED = TraceParent("ab" * 16, "cd" * 8, True)
NOT_RECORDED = RECORDED._replace(is_sampled=False)


def test_a_share_of_what_begins_here() -> None:
    chances = iter([0.0, 0.249, 0.25, 0.9])
    sampling = Sampling(0.25, chance=lambda: next(chances))
    assert [sampling.takes(None) for _ in range(4)] == [True, True, False, False]


def test_nothing_and_everything() -> None:
    assert not Sampling(0, chance=lambda: 0.0).takes(None)
    assert Sampling(1, chance=lambda: 1 - 2**-53).takes(None)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_what_comes_with_a_context_follows_its_sender(share: float) -> None:
    sampling = Sampling(share)
    assert sampling.takes(RECORDED)
    assert not sampling.takes(NOT_RECORDED)


def test_where_it_does_not_follow_the_trace_id_decides() -> None:
    sampling = Sampling(0.5, follows_parent=False)
    low, high = "ff" * 8 + "7f" + "ff" * 7, "00" * 8 + "80" + "00" * 7
    assert sampling.takes(NOT_RECORDED._replace(trace_id=low))
    assert not sampling.takes(RECORDED._replace(trace_id=high))
    assert Sampling(1, follows_parent=False).takes(RECORDED._replace(trace_id="ff" * 16))
    assert not Sampling(0, follows_parent=False).takes(RECORDED._replace(trace_id="1".zfill(32)))


@pytest.mark.parametrize(
    ("environ", "share", "follows"),
    [
        ({}, 0.3, True),
        ({"OTEL_TRACES_SAMPLER": " "}, 0.3, True),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, 1.0, False),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, 0.0, False),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.2"}, 0.2, False),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, 1.0, True),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, 0.0, True),
        ({"OTEL_TRACES_SAMPLER": "ParentBased_TraceIdRatio"}, 1.0, True),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.2"}, 0.3, True),
    ],
)
def test_the_variables_of_the_standard(
    environ: Mapping[str, str], share: float, follows: bool
) -> None:
    sampling = sampling_from(0.3, environ)
    assert (sampling.share, sampling.follows_parent) == (share, follows)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_SAMPLER": "often"}, r"OTEL_TRACES_SAMPLER: \"often\" is no sampler"),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
            r"OTEL_TRACES_SAMPLER_ARG: \"2\" is no share",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"},
            r"OTEL_TRACES_SAMPLER_ARG: \"nan\" is no share",
        ),
    ],
)
def test_a_variable_that_means_nothing_is_refused(environ: Mapping[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        sampling_from(0.3, environ)
