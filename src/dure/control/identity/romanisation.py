"""Short names for addresses, made from a name: Hangul by the Revised Romanization of Korean (국어의 로마자 표기법, 2000),
syllable by syllable, of the changes between them only that ㄹㄹ is ll; other letters lose their accents. Pure."""

import re
import unicodedata

_INITIALS = "g kk n d tt r m b pp s ss  j jj ch k t p h".split(" ")
_VOWELS = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i".split()
_FINALS = " k k k n n n t l k m l l l p l m p p t t ng t t k t p t".split(" ")
_FIRST, _LAST = 0xAC00, 0xD7A3
_LEGAL_FORMS = re.compile(
    r"주식회사|유한회사|재단법인|사단법인|㈜|\((?:주|유|재|사)\)|\b(?:co|inc|ltd|corp|llc)\b\.?",
    re.IGNORECASE,
)
_OTHERS = re.compile(r"[^a-z0-9]+")
LONGEST_SLUG = 63


def romanised(text: str) -> str:
    """Hangul in Latin letters, everything else as it is."""
    syllables = [_syllable(sign) for sign in unicodedata.normalize("NFC", text)]
    for place in range(1, len(syllables)):
        if syllables[place - 1].endswith("l") and syllables[place].startswith("r"):
            syllables[place] = f"l{syllables[place][1:]}"
    return "".join(syllables)


def _syllable(sign: str) -> str:
    code = ord(sign)
    if not _FIRST <= code <= _LAST:
        return sign
    initial, rest = divmod(code - _FIRST, 21 * 28)
    vowel, final = divmod(rest, 28)
    return _INITIALS[initial] + _VOWELS[vowel] + _FINALS[final]


def slug_of(name: str, *, other: str = "organisation") -> str:
    """1 to 63 small letters, digits and hyphens that a reader recognises the name by; `other` for a name without any.

    What only says the legal form (주식회사, Inc.) is left out.
    """
    plain = unicodedata.normalize("NFKD", romanised(_LEGAL_FORMS.sub(" ", name))).lower()
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return _OTHERS.sub("-", plain).strip("-")[:LONGEST_SLUG].strip("-") or other


def numbered(slug: str, number: int) -> str:
    """The slug with a number behind it, still no longer than a slug may be."""
    tail = f"-{number}"
    return f"{slug[: LONGEST_SLUG - len(tail)].rstrip('-')}{tail}"
