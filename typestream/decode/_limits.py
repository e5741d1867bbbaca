"""How much a stream may send before it is cut off."""

from dataclasses import dataclass

__all__ = ("Limits",)

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is read from the wire, in bytes; None is no bound. Past one, `StreamLimitExceeded` names it.

    The defaults keep the memory a hostile body can take below 8 MiB, and leave room for an inlined image of 3 MB.

    Args:
        line: one line, without its end.
        event: one event, all its lines together; also one JSON value where there are no events.
        total: the whole body, decompressed. None by default: a long answer with log-probabilities has no natural size.
        ratio: decompressed over compressed size, looked at once 8 MiB have come; text in JSON stays below 100.
    """

    line: int | None = 4 * _MIB
    event: int | None = 4 * _MIB
    total: int | None = None
    ratio: int | None = 200

    def __post_init__(self) -> None:
        for name in ("line", "event", "total", "ratio"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"Limits({name}=…) takes a whole number of at least 1, or None, not {value!r}.")
