"""The general reader: fills the slots of a profile from a decoded value, and says what is wrong."""

import math
from typing import Any

from streamer.contracts.readings import LARGEST_BATCH, Rejection, RejectReason
from streamer.profiles.paths import EACH, Kind, Slot
from streamer.profiles.program import NO_SLOT, Program
from streamer.profiles.timestamps import parse_iso8601


def read_object(value: object, program: Program) -> tuple[list[list[float]], str | None]:
    """Fill the slots from a value of objects, lists, texts and numbers.

    Returns:
        A row for each sample with a cell for each slot, NaN where nothing is; and the device id if
        the profile has it in the value.

    Raises:
        Rejection: a value has a type that its slot cannot hold, or there are too many samples, or
            one has nothing.
    """
    width = len(program.slots)
    rows: list[list[float]] = [[math.nan] * width]
    device_id = None
    for number, slot in enumerate(program.slots):
        if not slot.is_of_rows:
            found = _follow(value, slot.steps)
            if number == program.device != NO_SLOT:
                device_id = _device_id(found, slot)
            else:
                rows[0][number] = _cell(found, slot)
            continue
        split = slot.steps.index(EACH)
        elements = _follow(value, slot.steps[:split])
        if elements is None:
            continue
        if not isinstance(elements, list | tuple):
            raise _wrong(slot, elements, "a list")
        if len(elements) > LARGEST_BATCH:
            raise Rejection(
                RejectReason.SCHEMA, f"{len(elements)} samples, more than {LARGEST_BATCH}"
            )
        rows += ([math.nan] * width for _ in range(len(elements) - len(rows)))
        for row, element in zip(rows, elements, strict=False):
            found = _follow(element, slot.steps[split + 1 :])
            if number == program.device:  # of CSV, where everything is in rows
                device_id = device_id or _device_id(found, slot)
            else:
                row[number] = _cell(found, slot)
    _check_rows(rows)
    return rows, device_id


def _check_rows(rows: list[list[float]]) -> None:
    """Refuse samples without anything in them: one byte of them would take a hundred in memory."""
    if len(rows) > 1:
        for number, row in enumerate(rows):
            if all(map(math.isnan, row)):
                raise Rejection(
                    RejectReason.SCHEMA, f"sample {number} has none of the profile's fields"
                )


def _follow(value: Any, steps: tuple[str, ...]) -> Any:
    """Return what is at the end of a path, None if the path leads nowhere."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list | tuple) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _cell(value: object, slot: Slot) -> float:
    if value is None:
        return math.nan
    if slot.kind is Kind.CHOICE:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # a sensor may have a number for a name
        return float(slot.choices.index(value)) if value in slot.choices else -1.0
    if slot.kind is Kind.TIME:
        if not isinstance(value, str):
            raise _wrong(slot, value, "a text with a time in ISO 8601")
        try:
            return parse_iso8601(value)
        except ValueError:
            raise _wrong(slot, value, "a time in ISO 8601") from None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _wrong(slot, value, "a number")
    if isinstance(value, str) and "_" in value:  # which Python takes for a separator of digits
        raise _wrong(slot, value, "a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise _wrong(slot, value, "a number") from None


def _device_id(value: object, slot: Slot) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise _wrong(slot, value, "a device id")
    return str(value)


def _wrong(slot: Slot, value: object, wanted: str) -> Rejection:
    if value is None:
        return Rejection(RejectReason.SCHEMA, f"`{slot.path}` is missing")
    return Rejection(RejectReason.SCHEMA, f"`{slot.path}` is {value!r:.60}, not {wanted}")
