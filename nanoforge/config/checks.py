"""Whether each single entry is what the schema declares."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Tuple

import msgspec

from nanoforge.config.entries import MOST_FAULTS, Entries, Fault, general, shown
from nanoforge.config.policies import SPELLED, problems_of_policies
from nanoforge.config.schema import Key, Size, keys
from nanoforge.config.spelling import did_you_mean

SMALLEST_SIDE, LARGEST_SIDE = 32, 4096
LARGEST_NUMBER = 2**31 - 1  # seeds and steps are 32 bits wide in TensorFlow
SIZE_WORDS = (
    f"one number, or two as [height, width], each {SMALLEST_SIDE} to {LARGEST_SIDE} pixels (0: take the default)"
)


def check_entries(entries: Entries) -> Tuple[Entries, List[Fault]]:
    """The entries that are right, and what is wrong with the others."""
    known = {(key.section, key.name): key for key in keys()}
    right: Entries = {}
    faults: List[Fault] = []
    for (section, name), entry in entries.items():
        key = known.get((general(section), name))
        if key:
            problems = list(_problems(key, f"{section}.{name}", entry.value))
        else:  # beyond what is told, no right spelling is looked for: that takes its time
            problems = [_unknown_key(section, name)] if len(faults) < MOST_FAULTS else ["unknown key"]
        faults += [Fault(entry.where, problem) for problem in problems]
        if not problems:
            right[section, name] = entry
    return right, faults


def _unknown_key(section: str, name: str) -> str:
    in_sections = ((section if key.section == general(section) else key.section, key.name) for key in keys())
    spelled = sorted(map(".".join, in_sections))
    return f"unknown key {section}.{name}{did_you_mean(f'{section}.{name}', spelled)}"


def _problems(key: Key, spelled: str, value: Any) -> Iterator[str]:
    """What is wrong with the value of a key, which the user spells ``spelled``."""
    wrong = [
        f"{name} = {shown(word)}: expected one of {', '.join(key.words)}{did_you_mean(str(word), key.words)}"
        for name, word in _words_of(key, spelled, value).items()
        if not isinstance(word, str) or word not in key.words
    ]
    if spelled == SPELLED:
        wrong += problems_of_policies(value)
    yield from wrong
    if wrong:
        return
    if not _is_ordinary(value):
        yield f"{spelled} = {shown(value)}: expected a number of ordinary size ({key.meaning})"
        return
    try:
        msgspec.convert(value, key.type)
    except msgspec.ValidationError as error:
        yield f"{spelled} = {shown(value)}: {_plain(error)} ({key.meaning})"
    else:
        if key.plain_type is Size and not _is_size(value):
            yield f"{spelled} = {shown(value)}: expected {SIZE_WORDS}"


def _is_ordinary(value: Any) -> bool:
    """Whether a number is finite, and one that every program in between can hold."""
    if isinstance(value, list):
        return all(map(_is_ordinary, value))
    return not isinstance(value, (int, float)) or abs(value) <= LARGEST_NUMBER


def _words_of(key: Key, spelled: str, value: Any) -> Dict[str, Any]:
    """Spelling -> word, of each word in the value that must be one of a few."""
    if not key.words:
        return {}
    if not isinstance(key.default, dict):
        return {spelled: value}
    return {f"{spelled}.{name}": word for name, word in value.items()} if isinstance(value, dict) else {}


def _plain(error: msgspec.ValidationError) -> str:
    """msgspec's sentence as part of ours, in TOML's words and without the place inside the value, which is shown."""
    sentence = re.sub(r" - at .*", "", str(error)).replace("`", "").replace("object", "table")
    return sentence[:1].lower() + sentence[1:]


def _is_size(value: Size) -> bool:
    numbers = value if isinstance(value, list) else [value]
    inside = all(SMALLEST_SIDE <= number <= LARGEST_SIDE for number in numbers)
    return value == 0 or (inside and len(numbers) in (1, 2))
