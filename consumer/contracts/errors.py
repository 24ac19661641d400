"""Every error that nerstream raises on purpose.

::

    NerstreamError
    ├── SettingsError            a setting or an argument is wrong (exit code 2)
    ├── OutputFailed             standard output cannot be written
    ├── ModelError               the model cannot be loaded or is not a token classifier
    ├── AbortableError           the transaction is lost, the worker is not: abort, rewind, go on
    │   ├── GroupMoved           the same, because the group has shared out its partitions anew
    │   └── RenewalDue           nothing is lost; a new producer is due before the next one
    ├── KafkaProblem             Kafka refused something, and the worker cannot go on
    ├── RegistryProblem          the schema registry refused something, and the worker cannot go on
    ├── RegistryUnavailable      the schema registry does not answer; the worker waits for it
    ├── MessagesGone             a bounded run is at its end, and some of it was never there to read
    ├── DeadLetterLimitExceeded  too large a share of the input is being rejected
    ├── StageFailed              a pipeline thread ended with an unexpected exception
    ├── StageStalled             the model has made no progress for `stall_timeout_s`
    ├── DeviceFailed             the device will not answer again in this process
    ├── TokenizerFailed          processes that tokenise do not begin, or do not stay
    ├── ShutdownTimeout          the drain did not finish within `shutdown_timeout_s`
    └── RejectedMessage          one message cannot be processed; it becomes a dead letter

`RejectedMessage` never reaches a user: the pipeline turns it into a `Rejected` that travels to
the dead-letter topic. All others end the command with one line on standard error
(`SettingsError` with one for each wrong setting).
"""

from __future__ import annotations

from collections.abc import Sequence

from consumer.contracts.safe_text import safe


class NerstreamError(Exception):
    """Base of every error below; its text is written for the person who runs the worker."""

    #: Exit code of a command that ends with this error.
    exit_code = 1

    @property
    def lines(self) -> Sequence[str]:
        """What is told of it, a line each, without what a name in it could do to a terminal."""
        return (safe(str(self) or type(self).__name__),)


class SettingsError(NerstreamError):
    """A setting has a wrong value.

    Args:
        setting: name of the setting as the person wrote it (`--batch-tokens`,
            `NERSTREAM_BATCH_TOKENS`, `batch_tokens in worker.toml`).
        problem: what is wrong with the value.
        remedy: what would be right.
        also: what else is wrong, so that a person can put all of it right at once; each is a
            line of its own in the text of this error.
    """

    exit_code = 2

    def __init__(
        self, setting: str, problem: str, remedy: str, also: Sequence[SettingsError] = ()
    ) -> None:
        super().__init__("\n".join((f"{setting}: {problem}; {remedy}", *map(str, also))))
        self.setting = setting
        self.problem = problem
        self.remedy = remedy
        self.also = tuple(also)

    @property
    def lines(self) -> Sequence[str]:
        own = safe(f"{self.setting}: {self.problem}; {self.remedy}")
        return (own, *(line for one in self.also for line in one.lines))


class OutputFailed(NerstreamError):
    """Standard output cannot be written: no room is left, or it was closed at the start."""


class ModelError(NerstreamError):
    """The model cannot be loaded, or is not one that can tag tokens."""


class KafkaProblem(NerstreamError):
    """Kafka refused something that neither the same call again nor an abort would mend."""


class AbortableError(NerstreamError):
    """The open transaction cannot be committed; after an abort and a rewind the worker goes on."""


class GroupMoved(AbortableError):
    """The group shared out its partitions anew before the offsets were committed."""


class RegistryProblem(NerstreamError):
    """The schema registry refused something that a person must put right."""


class RegistryUnavailable(NerstreamError):
    """The schema registry gives no answer now; the same call may succeed later."""


class RenewalDue(AbortableError):
    """No transaction can begin before a new producer is there."""


class MessagesGone(NerstreamError):
    """A bounded run is at its end, but retention or DeleteRecords was faster than it."""


class DeadLetterLimitExceeded(NerstreamError):
    """A larger share of the input was rejected than `dead_letter_max_ratio` allows."""


class StageFailed(NerstreamError):
    """A pipeline thread ended with an exception that nobody expected; it is the `__cause__`."""


class StageStalled(NerstreamError):
    """A stage has work and has made no progress for too long: a forward pass hangs.

    Args:
        stage: its name.
        stalled_s: seconds since its last progress.
        stall_timeout_s: seconds that were allowed.
        uncommitted: messages in flight; they will be read again.
    """

    def __init__(
        self, stage: str, stalled_s: float, stall_timeout_s: float, uncommitted: int
    ) -> None:
        super().__init__(
            f"stage {stage} has made no progress for {stalled_s:.0f} s "
            f"(stall_timeout_s={stall_timeout_s:g}): its forward pass hangs, or takes longer; "
            f"{uncommitted} messages are uncommitted and will be read again; look at the device, "
            "or raise stall_timeout_s"
        )
        self.stage = stage


class DeviceFailed(NerstreamError):
    """A forward pass failed in a way that says nothing against the articles in it; they stay
    uncommitted, and a new process, or another device, may tag them."""


class TokenizerFailed(NerstreamError):
    """The processes that tokenise end by themselves or do not begin, which says nothing against the
    articles; they stay uncommitted."""


class ShutdownTimeout(NerstreamError):
    """The drain did not finish in time; what was in flight is uncommitted and is read again."""


class RejectedMessage(NerstreamError):
    """One message cannot be processed.

    Args:
        code: one of `consumer.contracts.choices.RejectCode`.
        message: what is wrong with the message and what would be right, for a person.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def first_line(error: BaseException) -> str:
    """What an error of a library says in one line, for the text of one of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def class_and_line(error: BaseException) -> str:
    """The same behind the name of its class, for errors that nobody foresees."""
    return f"{type(error).__name__}: {first_line(error)}"
