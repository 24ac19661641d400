"""A tokenizer and the weights held against each other: whether the one can be the other's.

A wrong tokenizer is not an error to the library. Every word is unknown, or falls into letters, and
the model answers something.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence

from tokenizers import Tokenizer

from consumer.contracts.errors import ModelError
from consumer.tagging.model.guard.panics import refused_where_it_breaks

#: A sentence in each of many languages; a tokenizer that can read any text reads one of them.
SAMPLE = (
    "the minister said on monday that the city will pay for the new bridge",
    "der Minister sagte am Montag dass die Stadt die neue Brücke bezahlt",
    "el ministro dijo el lunes que la ciudad va a pagar el nuevo puente",
    "le ministre a dit lundi que la ville va payer le nouveau pont",
    "o ministro disse na segunda que a cidade vai pagar a nova ponte",
    "minister powiedział w poniedziałek że miasto zapłaci za nowy most",
    "bakan pazartesi günü şehrin yeni köprü için para vereceğini söyledi",
    "bộ trưởng nói hôm thứ hai rằng thành phố sẽ trả tiền cho cây cầu mới",
    "ministeri sanoi maanantaina että kaupunki maksaa uuden sillan",
    "menteri berkata pada hari senin bahwa kota akan membayar jembatan baru",
    "министр сказал в понедельник что город заплатит за новый мост",
    "ο υπουργός είπε τη δευτέρα ότι η πόλη θα πληρώσει τη νέα γέφυρα",
    "قال الوزير يوم الاثنين إن المدينة ستدفع ثمن الجسر الجديد",
    "השר אמר ביום שני כי העיר תשלם על הגשר החדש",
    "मंत्री ने सोमवार को कहा कि शहर नए पुल के लिए पैसे देगा",
    "মন্ত্রী সোমবার বলেছেন যে শহর নতুন সেতুর জন্য টাকা দেবে",
    "அமைச்சர் திங்கட்கிழமை நகரம் புதிய பாலத்திற்கு பணம் தரும் என்றார்",
    "รัฐมนตรีกล่าวเมื่อวันจันทร์ว่าเมืองจะจ่ายค่าสะพานใหม่",
    "部长周一说这座城市将支付新桥的费用",
    "大臣は月曜日に市が新しい橋の費用を払うと言った",
    "장관은 월요일에 시가 새 다리 비용을 낼 것이라고 말했다",
    "მინისტრმა ორშაბათს თქვა რომ ქალაქი ახალ ხიდს გადაიხდის",
    "նախարարը երկուշաբթի ասաց որ քաղաքը կվճարի նոր կամրջի համար",
    "ሚኒስትሩ ሰኞ ዕለት ከተማው ለአዲሱ ድልድይ ይከፍላል አሉ",
)

#: Share of unknown tokens that the best of these sentences may have.
_MAX_UNKNOWN = 0.8

#: Rows by which weights are padded to a round number.
_PADDING = 128
#: Share of the weights' pieces that a tokenizer must know, beyond padding. Some weights were made
#: for more: IndoBERT's tokenizer knows 61 %.
_MIN_KNOWN = 0.5
#: Most tokenizers know this share. One that knows less is named in the log, and refused if anything
#: else is odd.
_USUALLY_KNOWN = 0.9
#: A tokenizer is odd from this share of unknown tokens on, in the language that it knows best.
_ODD_UNKNOWN = 0.05

#: Pieces of a vocabulary that are looked at, and the share that the tokenizer's model must give for
#: the piece's own text. A sound one gives nearly all, one without its merges none.
_PIECES = 1_000
_MIN_MADE = 0.5
#: Fewer say nothing: a vocabulary of characters has none.
_ENOUGH_PIECES = 20

#: Special tokens without which a tokenizer of a family is not one of it. Others, such as one to
#: pad with, may be added by a person.
_ROLES = ("unk_token", "cls_token", "sep_token")

_LETTER = re.compile("[A-Za-z]")
_CAPITAL = re.compile("[A-Z]")

#: Letters to see what a tokenizer makes of capitals.
_CAPITALS = "THE CITY PAYS FOR A BRIDGE"
#: A vocabulary is cased from this share of pieces with capitals on; an uncased one has hardly any.
CASED_SHARE = 0.01

_log = logging.getLogger(__name__)


def check_vocabulary(
    name: str,
    tokenizer: Tokenizer,
    embeddings: int,
    window_ids: Collection[int],
    *,
    is_odd: bool = False,
) -> None:
    """Refuse a tokenizer that asks for embeddings which are not there, or for few of those that
    are. A special token that was added and never occurs in text, such as one to pad with, does not
    ask for any.

    Args:
        name: the model, for errors.
        tokenizer: takes special tokens in text for letters.
        embeddings: rows of the weights' table.
        window_ids: special tokens of each window.
        is_odd: whether there is other reason to doubt that it is the weights' own.

    Raises:
        ModelError: see above.
    """
    ids = set(tokenizer.get_vocab(with_added_tokens=True).values())
    unused = {
        token_id
        for token_id, token in tokenizer.get_added_tokens_decoder().items()
        if token.special and token_id not in window_ids
    }
    # What stands around each window may be written there by its number alone.
    highest = max((ids - unused).union(window_ids), default=-1)
    if highest >= embeddings:
        raise ModelError(
            f"model {name}: its tokenizer counts to token {highest}, its weights know {embeddings} "
            "tokens; put the tokenizer that belongs to the model beside it"
        )
    if len(ids) + _PADDING >= embeddings:
        return
    if len(ids) < (_USUALLY_KNOWN if is_odd else _MIN_KNOWN) * embeddings:
        raise ModelError(
            f"model {name}: its tokenizer knows {len(ids)} pieces, its weights {embeddings}; put "
            "the tokenizer that belongs to the model beside it, whole"
        )
    if len(ids) < _USUALLY_KNOWN * embeddings:
        _log.warning(
            "model %s: its tokenizer knows %d of the %d pieces of its weights; if that is not as "
            "it was published, copy the tokenizer's files again",
            name,
            len(ids),
            embeddings,
        )


def check_answers(name: str, tokenizer: Tokenizer, unknown_id: int | None) -> bool:
    """Refuse a tokenizer that makes nothing of text: it knows no word of any language of a sample,
    or gives none of its own pieces for the piece's own text.

    Args:
        unknown_id: its unknown token, if it has one.

    Returns:
        Whether it is odd all the same: some of a text in every language is unknown to it.

    Raises:
        ModelError: see above, or it cannot read at all.
    """
    belongs = "put the tokenizer that belongs to the model beside it, whole"
    with refused_where_it_breaks(name):
        sample = tokenizer.encode_batch(list(SAMPLE), add_special_tokens=False)
        least = min(_unknown_share(encoding.ids, unknown_id) for encoding in sample)
        made = [(piece, _made_of(tokenizer, piece)) for piece in _pieces_of(tokenizer)]
    if least > _MAX_UNKNOWN:
        raise ModelError(
            f"model {name}: to its tokenizer {least:.0%} of a text are unknown, in the language of "
            f"{len(SAMPLE)} that it knows best; {belongs}"
        )
    lost = [(piece, parts) for piece, parts in made if piece not in parts]
    if len(made) >= _ENOUGH_PIECES and len(lost) > (1 - _MIN_MADE) * len(made):
        piece, parts = lost[0]
        made_of = " ".join(parts) or "nothing"
        raise ModelError(
            f"model {name}: its tokenizer never uses most of its own pieces, as if merges were "
            f"missing: of {piece!r}, which is one, it makes {made_of}; {belongs}"
        )
    return least > _ODD_UNKNOWN


def check_added_tokens(name: str, tokenizer: Tokenizer) -> None:
    """Refuse an added token of which normalizing leaves nothing. It is then found between any two
    letters: every word falls apart, and some texts break the tokenizer.

    Args:
        name: the model, for errors.

    Raises:
        ModelError: see above.
    """
    normalizer = tokenizer.normalizer
    if normalizer is None:
        return
    for token in tokenizer.get_added_tokens_decoder().values():
        if not token.normalized:
            continue
        with refused_where_it_breaks(name):
            left = normalizer.normalize_str(token.content)
        if not left:
            raise ModelError(
                f"model {name}: its tokenizer has the added token {token.content[:40]!r}, of which "
                "its normalizer leaves nothing, so that it is found everywhere and every word "
                "falls into letters; set normalized to false for it under added_tokens in "
                "tokenizer.json, and under added_tokens_decoder in tokenizer_config.json"
            )


def check_special_tokens(
    name: str,
    named: Mapping[str, str | None],
    vocabulary: Collection[str],
    windows_have: Collection[int],
) -> None:
    """Refuse a tokenizer whose configuration is of another one. Say in the log where windows have
    no special tokens, though the tokenizer has some for them.

    Args:
        named: special tokens by role, `cls_token` for example, as the configuration has them.
        vocabulary: every piece of the tokenizer's own file.
        windows_have: special tokens of each window.

    Raises:
        ModelError: see above.
    """
    wanted = [token for role in _ROLES if (token := named.get(role))]
    if len(wanted) > 1 and not any(token in vocabulary for token in wanted):
        raise ModelError(
            f"model {name}: its tokenizer.json is of another model than its configuration: it has "
            f"no {', '.join(wanted[:-1])} or {wanted[-1]}; put the tokenizer that belongs to the "
            "model beside it, whole"
        )
    if named.get("cls_token") and named.get("sep_token") and not windows_have:
        _log.warning(
            "model %s: its tokenizer has %s and %s and puts neither around a text, though models "
            "of such a tokenizer are trained with them; if that is not as it was published, its "
            "tokenizer.json lacks a post_processor: copy it again",
            name,
            named["cls_token"],
            named["sep_token"],
        )


def check_token_types(name: str, types: Sequence[int], is_special: Sequence[int]) -> None:
    """Refuse a tokenizer that gives the tokens of a text another type than 0, which all are
    computed as. Say in the log where special tokens alone have another.

    Args:
        name: the model, for errors.
        types: of each token of a text, that its network would be given.
        is_special: for each, whether it is a special token.

    Raises:
        ModelError: see above.
    """
    of_text = {one for one, special in zip(types, is_special, strict=True) if one and not special}
    of_special = {one for one, special in zip(types, is_special, strict=True) if one and special}
    if not of_text and not of_special:
        return
    found = ", ".join(map(str, sorted(of_text or of_special)))
    whose = "the tokens of a text" if of_text else "special tokens"
    told = (
        f"model {name}: its tokenizer gives {whose} the type {found} (type_id under post_processor "
        "in its tokenizer.json), and no types are computed here but 0"
    )
    if of_text:
        raise ModelError(
            f"{told}; choose another model, or, if this one was trained without types, remove "
            "token_type_ids from model_input_names in its tokenizer_config.json"
        )
    _log.warning("%s; its scores may differ from those of transformers' pipeline", told)


def check_case(name: str, tokenizer: Tokenizer, unknown_id: int | None) -> None:
    """Say in the log where a tokenizer's vocabulary is of another case than what it makes of text.

    Args:
        unknown_id: its unknown token, if it has one.
    """
    # Of A to Z alone: a tokenizer of bytes writes others for them, capitals among these.
    pieces = [
        one
        for one in tokenizer.get_vocab(with_added_tokens=False)
        if _LETTER.search(one) and not one.startswith(("[", "<"))  # special tokens
    ]
    capitals = sum(_CAPITAL.search(piece) is not None for piece in pieces)
    is_cased = capitals > CASED_SHARE * len(pieces)
    normalizer = tokenizer.normalizer
    read = _CAPITALS if normalizer is None else normalizer.normalize_str(_CAPITALS)
    if is_cased and read == _CAPITALS.lower():
        _log.warning(
            "model %s: %d of the %d pieces of its tokenizer have capitals, and it makes small "
            "letters of every text, so that it never uses them; if the model tells capitals from "
            "small letters, set do_lower_case to false in its tokenizer_config.json",
            name,
            capitals,
            len(pieces),
        )
    if is_cased or unknown_id is None:
        return
    small, large = (
        _unknown_share(tokenizer.encode(text, add_special_tokens=False).ids, unknown_id)
        for text in (_CAPITALS.lower(), _CAPITALS)
    )
    if small < 1 - _MIN_MADE < large:
        _log.warning(
            "model %s: its tokenizer has no pieces with capitals and keeps those of a text, so "
            "that every word with one is unknown to it; if the model does not tell capitals from "
            "small letters, set do_lower_case to true in its tokenizer_config.json",
            name,
        )


def _unknown_share(ids: Sequence[int], unknown_id: int | None) -> float:
    # A tokenizer without an unknown token leaves out what it does not know.
    return ids.count(unknown_id) / len(ids) if ids else 1.0


def _pieces_of(tokenizer: Tokenizer) -> list[str]:
    """Pieces of several letters that may stand alone, from all over the vocabulary."""
    continues = getattr(tokenizer.model, "continuing_subword_prefix", None)
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    pieces = [
        piece
        for piece in sorted(vocabulary, key=vocabulary.__getitem__)
        if len(piece) > 1 and piece not in added and not (continues and piece.startswith(continues))
    ]
    return pieces[:: max(1, len(pieces) // _PIECES)]


def _made_of(tokenizer: Tokenizer, piece: str) -> list[str]:
    """What the model of the tokenizer makes of a piece, without the steps before it."""
    # The model adds the mark of a word's end itself.
    end = getattr(tokenizer.model, "end_of_word_suffix", None)
    return [token.value for token in tokenizer.model.tokenize(piece.removesuffix(end or ""))]
