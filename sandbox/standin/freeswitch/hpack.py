"""HPACK (RFC 7541) as far as a gRPC server reads it: fields of a request, Huffman-coded or not, from the dynamic table too."""

STATIC = (
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    *((":status", str(status)) for status in (200, 204, 206, 304, 400, 404, 500)),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    *(
        (name, "")
        for name in (
            "accept-language",
            "accept-ranges",
            "accept",
            "access-control-allow-origin",
            "age",
            "allow",
            "authorization",
            "cache-control",
            "content-disposition",
            "content-encoding",
            "content-language",
            "content-length",
            "content-location",
            "content-range",
            "content-type",
            "cookie",
            "date",
            "etag",
            "expect",
            "expires",
            "from",
            "host",
            "if-match",
            "if-modified-since",
            "if-none-match",
            "if-range",
            "if-unmodified-since",
            "last-modified",
            "link",
            "location",
            "max-forwards",
            "proxy-authenticate",
            "proxy-authorization",
            "range",
            "referer",
            "refresh",
            "retry-after",
            "server",
            "set-cookie",
            "strict-transport-security",
            "transfer-encoding",
            "user-agent",
            "vary",
            "via",
            "www-authenticate",
        )
    ),
)
"""Appendix A, from index 1."""

LENGTHS = (
    "isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhfibcccccccccccccccccccc"
    "ccdcdioijbkabababbbaccbbbabcbaabccccckgjixprpprrrsrssssststtrstssssqrsrsstrqprrssqsrrt"
    "qrssqqrqsrssprrrsrrsvvporsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsrruuttvsvwvvwwwwwxwwwwwv"
)
"""Appendix B: bits of each byte's code, `a` is five of them; codes of one length follow one another in the order of the bytes."""

TABLE_SIZE = 4096
"""Bytes of the dynamic table unless somebody says otherwise; nobody does here."""


def make_codes() -> dict[tuple[int, int], int]:
    """(length, code) -> byte: the code is canonical, so that its lengths are enough."""
    codes: dict[tuple[int, int], int] = {}
    code = length = 0
    for wanted, byte in sorted((ord(letter) - ord("a") + 5, byte) for byte, letter in enumerate(LENGTHS)):
        code = (code + 1 if codes else 0) << (wanted - length)
        length = wanted
        codes[length, code] = byte
    return codes


CODES = make_codes()


def unpack_huffman(data: bytes) -> str:
    """The text of a Huffman-coded string; what is left at its end is padding."""
    found = bytearray()
    code = length = 0
    for byte in data:
        for shift in range(7, -1, -1):
            code, length = code << 1 | byte >> shift & 1, length + 1
            if (length, code) in CODES:
                found.append(CODES[length, code])
                code = length = 0
    return found.decode("latin-1")


class Decoder:
    """The decoder of one connection: its dynamic table lives as long as that."""

    def __init__(self) -> None:
        self.table: list[tuple[str, str]] = []
        self.data, self.place = b"", 0

    def decode(self, data: bytes) -> list[tuple[str, str]]:
        """The fields of a header block."""
        self.data, self.place = data, 0
        fields: list[tuple[str, str]] = []
        while self.place < len(data):
            first = data[self.place]
            if first & 0x80:
                fields.append(self.entry(self.number(7)))
            elif first & 0x40:
                fields.append(self.literal(6))
                self.add(fields[-1])
            elif first & 0x20:
                self.number(5)
            else:
                fields.append(self.literal(4))
        return fields

    def number(self, bits: int) -> int:
        """An integer with a prefix of so many bits."""
        most = (1 << bits) - 1
        value = self.data[self.place] & most
        self.place += 1
        shift = 0
        while value >= most:
            byte = self.data[self.place]
            self.place += 1
            value += (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        return value

    def text(self) -> str:
        """A string."""
        packed = self.data[self.place] & 0x80
        length = self.number(7)
        raw = self.data[self.place : self.place + length]
        self.place += length
        return unpack_huffman(raw) if packed else raw.decode("latin-1")

    def literal(self, bits: int) -> tuple[str, str]:
        """A field whose name may stand in a table."""
        index = self.number(bits)
        return (self.entry(index)[0] if index else self.text()), self.text()

    def entry(self, index: int) -> tuple[str, str]:
        """A field of the static table, or after it the dynamic one, newest first."""
        return STATIC[index - 1] if index <= len(STATIC) else self.table[index - len(STATIC) - 1]

    def add(self, field: tuple[str, str]) -> None:
        """A new entry; old ones leave where they exceed the size."""
        self.table.insert(0, field)
        while sum(len(name) + len(value) + 32 for name, value in self.table) > TABLE_SIZE:
            self.table.pop()


def encode(fields: list[tuple[str, str]]) -> bytes:
    """Literal fields that no table remembers, each shorter than 127 bytes."""
    found = b""
    for name, value in fields:
        found += b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return found
