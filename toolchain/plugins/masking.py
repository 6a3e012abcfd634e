"""Keep known secrets out of text that a command wrote, before a person sees it; pure.

Part of the stand-in for the command provider (machines without the official plugin). A line is masked for itself, because output is shown line by
line: of a secret with several lines (a key, a kubeconfig) each line that is long enough to be recognised is masked. Very short secrets would mask
ordinary words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MASK: Final = "[secret]"
_SHORTEST = 4
_SHORTEST_LINE = 8


class Masker:
    """Replaces every known secret in a text by MASK."""

    def __init__(self, secrets: Iterable[str]) -> None:
        pieces = set()
        for secret in secrets:
            lines = [line.strip() for line in secret.splitlines()]
            if len(secret) >= _SHORTEST:
                pieces.add(secret)
            pieces.update(line for line in lines if len(line) >= (_SHORTEST_LINE if len(lines) > 1 else _SHORTEST))
        self._pieces = sorted(pieces, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for piece in self._pieces:
            text = text.replace(piece, MASK)
        return text
