"""Rules between settings: what must be true of several together, each apart from the others.

What one value may be by itself is in `consumer.settings.values`. Each rule raises WrongValue with
the settings that are to blame, the one to change first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from consumer.contracts.choices import Delivery, InputFormat, OutputFormat
from consumer.contracts.languages import ANY_LANGUAGE, primary_subtag, with_kin
from consumer.settings.paths import leading_names, member_names
from consumer.settings.run_bounds import time_ms
from consumer.settings.topic_patterns import takes_in
from consumer.settings.values import WrongValue


def topics_differ(input_topics: Sequence[str], output_topic: str, dead_letter_topic: str) -> None:
    """Reading what one writes would tag for ever; two kinds of output need two topics."""
    if output_topic == dead_letter_topic:
        raise WrongValue(
            f"is {dead_letter_topic}, and so is output_topic",
            "the enriched articles and the rejected messages need a topic each",
            ("dead_letter_topic", "output_topic"),
        )
    for setting, written in (
        ("output_topic", output_topic),
        ("dead_letter_topic", dead_letter_topic),
    ):
        for name in input_topics:
            if takes_in(name, written):
                raise WrongValue(
                    f"{name} takes in {written}, which is the {setting}",
                    "the worker must not read what it writes",
                    ("input_topics", setting),
                )


def commits_fit(delivery: Delivery, commit_interval_ms: int, transaction_timeout_ms: int) -> None:
    """The broker would abort each transaction of a worker that is busy, and it would never commit:
    one that takes batches for the whole interval still has to be flushed and committed."""
    most_ms = transaction_timeout_ms // 2
    if delivery is Delivery.EXACTLY_ONCE and commit_interval_ms > most_ms:
        raise WrongValue(
            f"{commit_interval_ms} leaves no time to commit within "
            f"transaction_timeout_ms={transaction_timeout_ms}",
            f"it must be at most half of that, {most_ms}; lower it, or raise "
            "transaction_timeout_ms",
            ("commit_interval_ms", "transaction_timeout_ms"),
        )


def fields_differ(
    text_fields: Sequence[str],
    told_fields: Mapping[str, str],
    output_field: str,
    *,
    has_names: bool,
) -> None:
    """A text is no id, and what the output replaces is neither a text nor told by another setting.

    Args:
        told_fields: fields with an id, a language and so on, by their settings; the first is that
            of the id. Empty ones name none.
        has_names: whether the output has `names` beside `entities`.
    """
    written: list[tuple[str, ...]] = [("entities",), ("tagging",)]
    if has_names:
        written.append(("names",))
    if output_field:
        written = [member_names(output_field)]
    id_setting, id_field = next(iter(told_fields.items()))
    if id_field in text_fields:
        raise WrongValue(
            f"{id_field} is named by text_fields and by {id_setting}",
            "a text is no id; each must name a field of its own",
            ("text_fields", id_setting),
        )
    fields = [("text_fields", name) for name in text_fields]
    fields += [(setting, name) for setting, name in told_fields.items() if name]
    for setting, name in fields:
        begin, is_whole = leading_names(name)
        for place in written:
            if begin[: len(place)] == place or (is_whole and place[: len(begin)] == begin):
                where = ".".join(place)
                raise WrongValue(
                    f"{name}, which {setting} names, would be gone: the output has {where} there",
                    "each must name a place of its own",
                    (setting, "output_field"),
                )


def formats_go_together(
    input_format: InputFormat, output_format: OutputFormat, registry: Mapping[str, str]
) -> None:
    """Schemas come from a registry, and one that is not there cannot be made up."""
    if input_format is not InputFormat.JSON and "url" not in registry:
        raise WrongValue(
            f"{input_format} needs a schema registry, and there is none",
            "give its address as registry.url",
            ("input_format",),
        )
    if output_format not in (OutputFormat.SAME, OutputFormat.JSON, input_format):
        raise WrongValue(
            f"{output_format} cannot be made of input_format={input_format}",
            "it must be same, or json",
            ("output_format", "input_format"),
        )


def formats_are_of_texts(text_format: Sequence[str], text_fields: Sequence[str]) -> None:
    """A format is of one of the texts, or one of all."""
    for entry in text_format:
        field = entry.rpartition("=")[0].strip()
        if field and field not in text_fields:
            raise WrongValue(
                f"{field} is none of the text_fields",
                f"it must name one of {', '.join(text_fields)}",
                ("text_format", "text_fields"),
            )
    if sum("=" not in entry for entry in text_format) > 1:
        raise WrongValue(
            f"{', '.join(text_format)} has several formats for all texts",
            "give one, and FIELD=FORMAT for others",
            ("text_format",),
        )


def languages_have_models(languages: Sequence[str], models: Collection[str]) -> None:
    """A language that is tagged needs a model.

    Args:
        models: languages that have one, where there is a model for each language.
    """
    if not models or ANY_LANGUAGE in models:
        return
    with_model = with_kin(models)
    for language in languages:
        if primary_subtag(language) not in with_model:
            raise WrongValue(
                f"names {language}, for which models has none",
                f'add it to models, or "{ANY_LANGUAGE}" for all others',
                ("languages", "models"),
            )


def run_is_one(group_id: str, run_group: str, run_from: str, run_until: str) -> None:
    """A bounded run has a group of its own, and bounds in the order of time."""
    if run_group and run_group == group_id:
        raise WrongValue(
            f"is {run_group}, as group_id is",
            "a bounded run needs a group of its own: it would move the places of the others",
            ("run_group", "group_id"),
        )
    begins, ends = time_ms(run_from), time_ms(run_until)
    if ends is not None and ends <= 0:
        raise WrongValue(
            f"is {run_until}, and no message is older than 1970-01-01",
            "it must be later",
            ("run_until",),
        )
    if begins is not None and ends is not None and begins >= ends:
        raise WrongValue(
            f"is {run_until}, which is not after {run_from}, the run_from",
            "it must be later",
            ("run_until", "run_from"),
        )
