"""Writes the references in docs/reference from the code: `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from consumer.settings.flags import ENTRIES, flag_name, is_table, table_variable, variable_name
from consumer.settings.reserved import RESERVED_KAFKA_PROPERTIES
from consumer.settings.schema import GROUPS, Settings
from consumer.telemetry.declaration import Declaration, Kind
from consumer.telemetry.declarations import ALL
from consumer.terminal import tell

_GENERATED = "<!-- Generated from the code by `make docs`; changes here are lost. -->\n"

#: Ends of names that say the unit, and how the reference writes it.
_UNITS: Mapping[str, str] = {
    "_ms": "milliseconds",
    "_s": "seconds",
    "_bytes": "bytes",
    "_tokens": "tokens",
    "_articles": "articles",
    "_messages": "messages",
    "_ratio": "share, 0 to 1",
}

_SETTINGS_HEAD = """\
# Settings

Every setting of `nerstream run` can be given in three ways; the first of them that is there
counts:

1. as a flag, `--batch-tokens 8192`,
2. as an environment variable, `NERSTREAM_BATCH_TOKENS=8192`,
3. in the TOML file that `--config` or `NERSTREAM_CONFIG` names, `batch_tokens = 8192`.

An empty flag or variable is refused where the setting is empty without it: a shell's variable that
was not set (`--from "$SINCE"`) must not make another worker of it. In the file, `""` says what
holds without it. `--id-field ""` is a value: the setting has another one by default.

Lists are separated by commas in a flag or a variable. A table has entries, which add up: the flag
is repeated for each, a variable has them with commas. A wrong value is named, with what would be
right, before anything is started.
"""

_KAFKA_TAIL = """\
## Properties of the Kafka client

Any other property of librdkafka is passed to its clients, so that TLS, SASL and timeouts work as
in every other program. `security.protocol=SASL_SSL`, for example, is

- the flag `--kafka security.protocol=SASL_SSL`, which may be repeated,
- the variable `NERSTREAM_KAFKA_SECURITY_PROTOCOL=SASL_SSL`,
- in the TOML file `"security.protocol" = "SASL_SSL"` under `[kafka]`.

Values that are secret are masked wherever settings are shown. A secret may stand in a file, as
Docker and Kubernetes hand it out: the name of the property then has `_file` at its end. So
`sasl.password_file = "/run/secrets/kafka-password"`, or the variable
`NERSTREAM_KAFKA_SASL_PASSWORD_FILE`, gives `sasl.password`; that holds for `ssl.key.password`,
`ssl.keystore.password`, `ssl.key.pem`, `sasl.oauthbearer.client.secret` and what else is a secret.
On the command line a secret is refused. The guide
[Kafka behind a door](../guides/behind-a-door.md) has settings that work.

A property that depends on another one follows it: with `message.max.bytes=20000000` the consumer
fetches as much at once. Where two that were both passed contradict each other, the error names
both, before the model is loaded. These properties cannot be passed, since the worker's guarantees
rest on them:

| property | instead |
| --- | --- |
"""

_REGISTRY_TAIL = """\
## Properties of the schema registry's client

They are those of Confluent's client for Python, and are given as those of the Kafka client are:
`--registry url=https://host:8081`, `NERSTREAM_REGISTRY_URL`, `url = "https://host:8081"` under
`[registry]`. Names, passwords and tokens are masked wherever settings are shown, those within
`url` too. A secret may stand in a file: `basic.auth.user.info_file`, `bearer.auth.token_file` and
so on. On the command line a secret is refused.

| property | what it is |
| --- | --- |
| `url` | where `/schemas` and `/subjects` are; several with commas |
| `basic.auth.user.info` | `NAME:PASSWORD` |
| `ssl.ca.location` | the authority that has signed the registry's certificate; a file or a folder |
| `ssl.certificate.location`, `ssl.key.location`, `ssl.key.password` | the worker's certificate |
| `bearer.auth.credentials.source` | `STATIC_TOKEN`, `OAUTHBEARER` or `OAUTHBEARER_AZURE_IMDS` |
| `bearer.auth.token`, `bearer.auth.logical.cluster`, `bearer.auth.identity.pool.id` | for a token |
| `bearer.auth.client.id`, `bearer.auth.client.secret`, `bearer.auth.scope`, \
`bearer.auth.issuer.endpoint.url` | for OAuth |
| `proxy` | an HTTP proxy before the registry |
| `timeout` | seconds that a request may take; 10 |
| `auto.register.schemas` | `false`: the schemas of the output are looked up, not registered |
| `normalize.schemas` | `true`: the registry brings schemas to one form first |

"""

_METRICS_HEAD = """\
# Metrics

What `/metrics` on the admin port shows, beside the usual metrics of the process (`process_*`) and
of Python (`python_*`). A histogram is queried by `_bucket`, `_sum` and `_count` after its name.
Labels that are known in advance begin at 0, so that the first event is already an increase.

Every message read has one outcome, so at every moment

```
nerstream_messages_consumed_total
  = nerstream_articles_published_total
  + nerstream_tombstones_published_total
  + sum(nerstream_messages_rejected_total)
  + sum(nerstream_messages_released_total)
  + nerstream_in_flight_messages
```

within one worker and up to what changes during the scrape itself.
"""


def settings_reference() -> str:
    """The text of docs/reference/settings.md."""
    parts = [_SETTINGS_HEAD, _GENERATED]
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            parts.append(f"## {GROUPS[name]}\n")
        parts.append(_setting(name, field))
    reserved = "".join(f"| `{n}` | {why} |\n" for n, why in RESERVED_KAFKA_PROPERTIES.items())
    parts.append(_REGISTRY_TAIL + _KAFKA_TAIL + reserved)
    return "\n".join(parts)


def metrics_reference() -> str:
    """The text of docs/reference/metrics.md."""
    return "\n".join([_METRICS_HEAD, _GENERATED, *(_metric(item) for item in ALL)])


def references() -> dict[str, str]:
    """File name to text of every generated reference."""
    return {"settings.md": settings_reference(), "metrics.md": metrics_reference()}


def _setting(name: str, field: FieldInfo) -> str:
    if is_table(name):
        ways = f"`{flag_name(name)} {ENTRIES[name][0]}` · `{table_variable(name)}` · `[{name}]`"
    else:
        ways = f"`{flag_name(name)}` · `{variable_name(name)}` · `{name}`"
    facts = [_type(field), f"default {_default(field)}"]
    unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
    if unit:
        facts.insert(1, unit)
    doc = " ".join((field.description or "").split())
    return f"### {name}\n\n{ways}\n\n{'; '.join(facts)}\n\n{doc}\n"


def _type(field: FieldInfo) -> str:
    """The type in a reader's words, with its bounds."""
    kind = field.annotation
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(f"`{member.value}`" for member in kind)
    words: Mapping[Any, str] = {int: "integer", float: "number", str: "text", bool: "true or false"}
    if kind in words:
        return words[kind] + _bounds(field)
    return "table of text" if get_origin(kind) is not tuple else "list of text"


def _bounds(field: FieldInfo) -> str:
    bounds = {
        sign: getattr(rule, name)
        for rule in field.metadata
        for name, sign in (("ge", "from"), ("gt", "above"), ("le", "to"), ("lt", "below"))
        if getattr(rule, name, None) is not None
    }
    return "".join(f" {sign} {value}" for sign, value in bounds.items())


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Enum):
        value = value.value
    elif isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, tuple):
        value = ",".join(value)
    return f"`{value}`" if value or value == 0 else "empty"


def _metric(item: Declaration) -> str:
    facts = [item.kind.value]
    if item.unit:
        facts.append(item.unit)
    if item.labels:
        facts.append("labels " + ", ".join(f"`{label}`" for label in item.labels))
    rows = [f"## {item.name}\n", "; ".join(facts) + "\n", f"{item.doc}\n"]
    if item.known:
        rows.append(f"`{item.labels[0]}`: {', '.join(f'`{value}`' for value in item.known)}.\n")
    if item.kind is Kind.HISTOGRAM:
        rows.append(f"Buckets up to {', '.join(f'{bound:g}' for bound in item.buckets)}.\n")
    rows.append(f"**When to worry:** {item.worry}\n")
    return "\n".join(rows)


def main(folder: str) -> None:
    """Write every reference into this folder."""
    for name, text in references().items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        tell(f"wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/reference")
