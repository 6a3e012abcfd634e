"""Finds secrets in what a stack prints, writes and runs: in plain text, inside JSON, in base64, and in base64 of base64.

What is searched for is the private part of each secret: of a key in PEM the line that holds its private number, since certificates and public keys
are no secrets and share other lines with it. A line is the same in a file, in JSON and where line breaks were taken out.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

PEM_KEY = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----\s+(.*?)-----END \1PRIVATE KEY-----", re.DOTALL)
BASE64 = re.compile(r"[A-Za-z0-9+/]{32,}={0,2}")
TOKEN = re.compile(r"eyJ[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}")
SHORTEST = 12
"""Characters of the shortest secret that can be told from chance."""


class SecretSearch:
    """Knows secrets, each by the place that it came from, and says which of them some bytes hold."""

    def __init__(self) -> None:
        self._sources: dict[str, str] = {}
        self._forms: dict[bytes, str] = {}

    def add(self, source: str, text: str) -> int:
        """Learn the private keys and tokens in a text, also those in base64 as in a kubeconfig. Returns how many there are."""
        cores = {*keys_in(text), *TOKEN.findall(text)}
        for encoded in BASE64.findall(text):
            try:
                cores |= {*keys_in(base64.b64decode(encoded).decode())}
            except ValueError:  # it was no base64, or not of a text
                continue
        for core in cores:
            self.add_word(source, core)
        return len(cores)

    def add_word(self, source: str, word: str) -> None:
        """Learn a secret that is one word, such as a passphrase."""
        if len(word) < SHORTEST:
            raise ValueError(f"the secret of {source} has {len(word)} characters; allowed: at least {SHORTEST}, so that it is not found by chance")
        self._sources.setdefault(word, source)
        for form in forms(word.encode()):
            self._forms[form] = self._sources[word]

    def __len__(self) -> int:
        return len(self._sources)

    def within(self, data: bytes) -> set[str]:
        """The sources of the secrets in `data`."""
        return {source for form, source in self._forms.items() if form in data}

    def in_files(self, files: Iterable[Path]) -> Iterator[tuple[Path, set[str]]]:
        """The files that hold secrets, with which."""
        for file in files:
            try:
                found = self.within(file.read_bytes())
            except FileNotFoundError:  # it was there a moment ago
                continue
            if found:
                yield file, found


def forms(word: bytes) -> Iterator[bytes]:
    """A word, its base64, and the base64 of that, wherever in an encoded text it stands."""
    yield word
    for once in _encoded(word):
        yield once
        yield from _encoded(once)


def _encoded(word: bytes) -> Iterator[bytes]:
    """What the base64 of any text that holds `word` holds: without the characters at its ends, which depend on what is around it."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + word)
        first, last = (-(-before * 8 // 6)), (before + len(word)) * 8 // 6
        yield text[first:last]


def keys_in(text: str) -> Iterator[str]:
    """The line of each private key in PEM that holds most of its private number."""
    for found in PEM_KEY.finditer(text.replace("\\n", "\n")):
        pem, lines = found[0].encode(), found[2].split()
        key = load_ssh_private_key(pem, None) if found[1] == "OPENSSH " else load_pem_private_key(pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"a {type(key).__name__} is new here; say where in its PEM the private numbers are")
        private = key.private_numbers().private_value.to_bytes((key.curve.key_size + 7) // 8, "big").lstrip(b"\0")
        start = base64.b64decode("".join(lines)).index(private)
        yield _line_with(lines, start * 4 // 3, (start + len(private)) * 4 // 3)


def _line_with(lines: list[str], start: int, end: int) -> str:
    """The line that has most of the characters from `start` to `end` of all lines together."""
    offset, best = 0, (0, "")
    for line in lines:
        best = max(best, (min(end, offset + len(line)) - max(start, offset), line))
        offset += len(line)
    return best[1]
