"""What names of parameters are given where a request is to be valid."""

KNOWN = {
    "limit": "2",
    "depth": "2",
    "after": "0",
    "before": "9",
    "version": "1",
    "priority": "2",
    "since": "2026-01-02T03:04:05Z",
    "until": "2030-01-02T03:04:05Z",
    "created_after": "2026-01-02T03:04:05Z",
    "created_before": "2030-01-02T03:04:05Z",
    "Idempotency-Key": "k",
    "If-None-Match": '"x"',
    "If-Match": '"x"',
    "Range": "bytes=0-1",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Accept": "application/json",
    "Prefer": "respond-async",
    "min_confidence": "0.5",
    "latest": "true",
}


def of(name: str) -> str:
    """A value that may stand there."""
    return KNOWN.get(name, "x")


class Names(dict[str, str]):
    """Ids for a path; of what there is none something that nobody has."""

    def __missing__(self, name: str) -> str:
        return "nothing"
