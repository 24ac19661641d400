"""Formats whose schema stands in a registry: what they have in common."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from consumer.codec.registry import framing
from consumer.codec.registry.additions import Additions
from consumer.codec.registry.subjects import Subjects
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import NerstreamError, RejectedMessage
from consumer.contracts.messages import Article
from consumer.contracts.registry import RegisteredSchema, SchemaRegistry, SchemaType

#: Ids without a schema that are remembered, so that the registry is not asked for each message.
_UNKNOWN_IDS = 1_000
#: For how long: a schema may be registered late.
_UNKNOWN_S = 30.0

#: Schemas that one may use; each is a question to the registry.
_REFERENCED = 500

Plan = TypeVar("Plan")


class RegistryFormat(ABC, Generic[Plan]):
    """Reads messages with the schema that each names, and makes the schema of the output from it.

    Fulfils `consumer.contracts.ports.MessageFormat`. A schema is fetched, and that of the output
    registered, with the first message that needs it. That is when `parse` may wait for the
    registry; `write` never does. One thread parses, another may write.

    Args:
        registry: where the schemas are.
        subjects: under which names the schemas of the output are registered; None registers none,
            for messages that are written in another format.
        additions: what `write` adds.
        clock: monotonic seconds.
    """

    #: The language of the schemas.
    schema_type: SchemaType

    keeps_document = False

    def __init__(
        self,
        registry: SchemaRegistry,
        subjects: Subjects | None,
        additions: Additions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._subjects = subjects
        self._additions = additions
        self._plans: dict[int, Plan | RejectedMessage] = {}
        self._clock = clock
        self._unknown_until: dict[int, float] = {}

    def open(self) -> None:
        """Find out whether the registry answers.

        Raises:
            RegistryUnavailable: it does not answer now.
            RegistryProblem: it refuses.
        """
        self._registry.check()

    def close(self) -> None:
        """Close the registry's connections."""
        self._registry.close()

    @abstractmethod
    def parse(self, value: bytes) -> Any:
        """What a message holds.

        Raises:
            RejectedMessage: not_framed, unknown_schema, wrong_schema, and what the format has.
            RegistryUnavailable, RegistryProblem: as the registry's.
        """

    @abstractmethod
    def readable(self, value: bytes) -> Any:
        """What a message holds, as JSON has it; for one that `parse` has read.

        Raises:
            RejectedMessage: JSON has no such value.
        """

    @abstractmethod
    def shared(self, addition: Mapping[str, Any]) -> Any:
        """An addition that many messages have; only `tagging` is one."""

    @abstractmethod
    def write(self, article: Article, additions: Mapping[str, Any]) -> bytes:
        """The article's message with its additions.

        Args:
            article: one that was made of what `parse` gave.
            additions: by name, as JSON has them, or as `shared` gave them.
        """

    def _known(self, value: bytes) -> Plan:
        """What is known of the schema of a message that `parse` has read."""
        plan = self._plans[framing.schema_id_of(value)]
        assert not isinstance(plan, RejectedMessage)
        return plan

    def _plan(self, value: bytes) -> Plan:
        """What is known of the schema of a message.

        Raises:
            RejectedMessage: not_framed, unknown_schema, wrong_schema.
            RegistryUnavailable, RegistryProblem: as the registry's.
        """
        schema_id = framing.schema_id_of(value)
        plan = self._plans.get(schema_id)
        if plan is None:
            plan = self._fetched(schema_id)
        if isinstance(plan, RejectedMessage):
            # A new one each time: an exception that is raised again grows its traceback.
            raise RejectedMessage(plan.code, plan.message)
        return plan

    def _fetched(self, schema_id: int) -> Plan | RejectedMessage:
        if self._unknown_until.get(schema_id, -math.inf) > self._clock():
            return _unknown(schema_id)
        schema = self._registry.schema(schema_id)
        if schema is None:
            if len(self._unknown_until) >= _UNKNOWN_IDS:
                del self._unknown_until[next(iter(self._unknown_until))]
            self._unknown_until[schema_id] = self._clock() + _UNKNOWN_S
            return _unknown(schema_id)
        plan: Plan | RejectedMessage
        if schema.type != self.schema_type:
            plan = RejectedMessage(
                RejectCode.WRONG_SCHEMA,
                f"the schema {schema_id} is in {schema.type}, and input_format asks for"
                f" {self.schema_type}",
            )
        else:
            try:
                plan = self._made(schema)
            except RejectedMessage as fault:
                plan = RejectedMessage(fault.code, f"schema {schema_id}: {fault.message}")
            except (NerstreamError, MemoryError):
                raise
            except Exception as fault:
                # Whoever may write schemas could end every worker with one that is spoiled, again
                # after each start.
                plan = RejectedMessage(
                    RejectCode.WRONG_SCHEMA,
                    f"schema {schema_id}: its schema is none that {self.schema_type} knows"
                    f" ({fault!r})",
                )
        self._plans[schema_id] = plan
        return plan

    def _register(self, record: str, schema: RegisteredSchema) -> bytes:
        """Register a schema of the output; gives what stands before its messages."""
        if self._subjects is None:
            return b""
        return framing.prefix(self._registry.register(self._subjects.of(record), schema))

    def _referenced(self, schema: RegisteredSchema) -> dict[str, RegisteredSchema]:
        """The schemas that one uses, and those that they use, by the names they are called, those
        that are used first."""
        found: dict[str, RegisteredSchema] = {}
        self._find(schema, found, set())
        return found

    def _find(
        self, schema: RegisteredSchema, found: dict[str, RegisteredSchema], seen: set[str]
    ) -> None:
        """Put what a schema uses behind what that uses; each once, by however many it is used."""
        for reference in schema.references:
            if reference.name in seen:
                continue
            seen.add(reference.name)
            if len(seen) > _REFERENCED:
                raise RejectedMessage(
                    RejectCode.WRONG_SCHEMA, f"its schema uses more than {_REFERENCED:,} others"
                )
            other = self._registry.referenced(reference)
            self._find(other, found, seen)
            found[reference.name] = other

    def _must_be_new(self, names: Iterable[str]) -> None:
        """Additions below a field of the top go into one that they make.

        Args:
            names: the fields that a message's schema has.

        Raises:
            RejectedMessage: wrong_schema; that field is there.
        """
        first = self._additions.within[0] if len(self._additions.within) > 1 else None
        if first is not None and first in names:
            raise RejectedMessage(
                RejectCode.WRONG_SCHEMA,
                f"its schema has a field {first}, which output_field would put a new field into;"
                " begin output_field with a name that it does not have",
            )

    @abstractmethod
    def _made(self, schema: RegisteredSchema) -> Plan:
        """Read a schema, and register that of the output.

        Raises:
            RejectedMessage: wrong_schema.
            RegistryUnavailable, RegistryProblem: as the registry's.
        """


def _unknown(schema_id: int) -> RejectedMessage:
    return RejectedMessage(
        RejectCode.UNKNOWN_SCHEMA,
        f"the schema registry has no schema {schema_id}; was the message written with another"
        " registry?",
    )
