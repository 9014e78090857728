"""The filter that keeps every secret's value out of errors, log lines and progress."""

import json
import re
import threading
from urllib.parse import quote, quote_plus

MASK = "[secret]"
_MIN_LENGTH = 6  # a shorter value would blank out ordinary words and numbers
_MIN_LINE_LENGTH = 16  # lines of a key file are longer; its short last line alone gives nothing away


class SecretFilter:
    """Replaces every known secret value, also in its JSON and URL-encoded forms, by `[secret]`.

    Values are added as they are met and never forgotten. Safe for use by several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: object) -> None:
        """Learn a secret: a text, or a mapping or sequence with texts and numbers anywhere inside."""
        forms = {form for text in _texts(value) for form in _forms(text)}
        with self._lock:
            if forms <= self._forms:
                return
            self._forms |= forms
            # The longest first: a secret that begins with another one must not leave its tail behind.
            ordered = sorted(self._forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def __call__(self, text: str) -> str:
        """Return `text` without any known secret."""
        with self._lock:
            pattern = self._pattern
        return pattern.sub(MASK, text) if pattern else text


def _texts(value: object) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_texts, value.values()))
    if isinstance(value, (list, tuple, set)):
        return set().union(*map(_texts, value))
    if isinstance(value, str):
        return {value}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {str(value)}
    return set()


def _forms(text: str) -> set[str]:
    text = text.strip()  # a text read from a file ends with a line break that a message leaves out
    if len(text) < _MIN_LENGTH:
        return set()
    forms = {text}
    lines = text.splitlines()
    if len(lines) > 1:  # a key file: a log shows it line by line, each with a prefix
        forms |= {line.strip() for line in lines if len(line.strip()) >= _MIN_LINE_LENGTH and "-----" not in line}
    for form in list(forms):
        forms |= {json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1]}
        forms |= {quote(form), quote(form, safe=""), quote_plus(form)}
    return forms
