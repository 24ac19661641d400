"""Sample: which articles a second model tags too. No thread, no clock."""

from __future__ import annotations

from hashlib import blake2b

from consumer.contracts.messages import Article

_BYTES = 8


class Sample:
    """A share of articles, by a hash of their ids: the same ones in every run and every worker.

    Args:
        share: 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self._bound: int = round(share * 2 ** (8 * _BYTES))

    def takes(self, article: Article) -> bool:
        """Whether it is one of them; one without an id is told by its place."""
        name = article.id
        if not name:
            (topic, partition), offset = article.raw.position
            name = f"{topic}/{partition}/{offset}"
        # Lone surrogates, which JSON can carry, are no UTF-8.
        hashed = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()
        return int.from_bytes(hashed, "big") < self._bound
