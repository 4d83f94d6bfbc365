"""The last touch on a FITS file in memory: checksums, and cards that the library which wrote it leaves out.

Checksums follow the FITS standard 4.0, section 4.4.2.7 and appendix J. They are made here because CFITSIO writes the
time into their comments, after which no two files would be equal.
"""

from collections.abc import Iterator

import numpy as np

__all__ = ["finished"]

_BLOCK, _CARD = 2880, 80
_END = b"END".ljust(_CARD)
_ZEROS = "0" * 16
_LONG_STRINGS = b"LONGSTRN= 'OGIP 1.0'           / The OGIP long string convention may be used".ljust(_CARD)
_PRIMARY = b"ZSIMPLE =                    T / file conforms to FITS standard".ljust(_CARD)

#: Characters that a checksum must not hold (punctuation between digits and letters).
_EXCLUDED = frozenset([*range(0x3A, 0x41), *range(0x5B, 0x61)])


def finished(data: bytes, primary_image: bool = False) -> bytes:
    """A FITS file with DATASUM and CHECKSUM in every HDU, and LONGSTRN where strings are continued.

    Parameters
    ----------
    data : bytes
        A whole file; checksums that it has are replaced.
    primary_image : bool
        Mark the compressed image of HDU 1, behind an empty primary HDU, as the primary array of the file that
        ``funpack`` makes.

    Returns
    -------
    bytes
    """
    parts = []
    for i, (cards, content) in enumerate(_hdus(data)):
        cards = [card for card in cards if card[:8] not in (b"CHECKSUM", b"DATASUM ")]
        if primary_image and i == 1:
            cards = _with_primary_mark(cards)
        parts += [_header_with_checksum(_with_long_strings(cards), content), content]
    return b"".join(parts)


def _hdus(data: bytes) -> Iterator[tuple[list[bytes], bytes]]:
    """Header cards without END, and data, of each HDU."""
    start = 0
    while start < len(data):
        cards = []
        while (card := data[start : start + _CARD]) != _END:
            if len(card) < _CARD:
                raise ValueError("not a FITS file: a header without END")
            cards.append(card)
            start += _CARD
        start = _blocks(start + _CARD)
        stop = start + _blocks(_data_size(cards))
        yield cards, data[start:stop]
        start = stop


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _data_size(cards: list[bytes]) -> int:
    """Bytes of the data of an HDU, without padding."""
    names = (b"BITPIX", b"NAXIS", b"PCOUNT", b"GCOUNT")
    values = {}
    for card in cards:
        name = card[:8].rstrip()
        if name.startswith(names) and card[8:10] == b"= ":
            values[name] = int(card[10:30])
    axes = [values[b"NAXIS%d" % (i + 1)] for i in range(values[b"NAXIS"])]
    if not axes:
        return 0
    elements = values.get(b"PCOUNT", 0) + int(np.prod(axes, dtype=np.int64))
    return abs(values[b"BITPIX"]) // 8 * values.get(b"GCOUNT", 1) * elements


def _with_primary_mark(cards: list[bytes]) -> list[bytes]:
    """Cards of a compressed image with ZSIMPLE, which has to come before the other cards of the image."""
    at = next((i for i, card in enumerate(cards) if card.startswith(b"ZBITPIX ")), None)
    return cards if at is None else [*cards[:at], _PRIMARY, *cards[at:]]


def _with_long_strings(cards: list[bytes]) -> list[bytes]:
    """Cards with LONGSTRN before the first string that is continued."""
    at = next((i for i, card in enumerate(cards) if card.startswith(b"CONTINUE  ")), None)
    if at is None or any(card.startswith(b"LONGSTRN") for card in cards):
        return cards
    return [*cards[: at - 1], _LONG_STRINGS, *cards[at - 1 :]]


def _header_with_checksum(cards: list[bytes], content: bytes) -> bytes:
    """The header of an HDU with both sums at its end."""
    data_sum = _sum(content)
    header = _header([*cards, _checksum_card(_ZEROS), _card("DATASUM", str(data_sum), "checksum of the data")])
    total = _add(_sum(header), data_sum)
    return header.replace(_checksum_card(_ZEROS), _checksum_card(_encoded(total ^ 0xFFFFFFFF)), 1)


def _checksum_card(text: str) -> bytes:
    return _card("CHECKSUM", text, "checksum of the HDU")


def _card(keyword: str, text: str, comment: str) -> bytes:
    quoted = f"'{text}'"
    return f"{keyword:8}= {quoted:20} / {comment}".ljust(_CARD).encode()


def _header(cards: list[bytes]) -> bytes:
    header = b"".join([*cards, _END])
    return header.ljust(_blocks(len(header)))


def _sum(data: bytes) -> int:
    """Sum of the 32-bit words in ones' complement arithmetic."""
    total = int(np.sum(np.frombuffer(data, ">u4"), dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _add(a: int, b: int) -> int:
    total = a + b
    return (total & 0xFFFFFFFF) + (total >> 32)


def _encoded(value: int) -> str:
    """Sixteen letters and digits whose sum as four words is a 32-bit value, up to the sum of sixteen zeros."""
    characters = bytearray(16)
    for i in range(4):
        byte = value >> (24 - 8 * i) & 0xFF
        four = [byte // 4 + ord("0")] * 4
        four[0] += byte % 4
        while any(c in _EXCLUDED for c in four):
            for j in (0, 2):
                if four[j] in _EXCLUDED or four[j + 1] in _EXCLUDED:
                    four[j] += 1
                    four[j + 1] -= 1
        characters[i::4] = bytes(four)
    return (characters[-1:] + characters[:-1]).decode()
