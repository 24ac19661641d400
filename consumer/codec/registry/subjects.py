"""Under which subject a schema of the output is registered."""

from __future__ import annotations

from consumer.contracts.choices import RejectCode, SubjectNameStrategy
from consumer.contracts.errors import RejectedMessage


class Subjects:
    """Confluent's naming strategies, for the values of one topic.

    Args:
        strategy: which one.
        topic: the output topic.
    """

    def __init__(self, strategy: SubjectNameStrategy, topic: str) -> None:
        self._strategy = strategy
        self._topic = topic

    def of(self, record: str) -> str:
        """The subject of a schema.

        Args:
            record: full name of the record; empty where the schema has none.

        Raises:
            RejectedMessage: wrong_schema; the strategy needs a name and there is none.
        """
        if self._strategy is SubjectNameStrategy.TOPIC:
            return f"{self._topic}-value"
        if not record:
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA,
                "it has no name to register the output's under; give it one (in JSON Schema its"
                f" title), or set subject_name_strategy={SubjectNameStrategy.TOPIC}",
            )
        if self._strategy is SubjectNameStrategy.RECORD:
            return record
        return f"{self._topic}-{record}"
