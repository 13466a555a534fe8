"""The switches of a sandbox that behaves as a service does."""

from astica_sync.core.service_facts.fact import ALL_OF_IT, MEANINGS, SECONDS, FactsByName, Value

_SAME_NAME = (
    "limit_refusal",
    "limit_header",
    "repeated_uids",
    "empty_class",
    "integers",
    "untrained",
    "list_counts",
    "model_list",
    "version_form",
    "confidence",
    "training",
    "invalid_image",
)
"""The facts that are switches of the same name with the same values."""

_NOT_POSSIBLE = {"other", "mixed", "ignore"}
"""Values that a sandbox does not have."""

LARGEST_SIDES = {("accepted", "refused"): "16000", ("accepted", "accepted"): "20000", ("refused", "refused"): "15999"}


def switches_like(facts: FactsByName) -> tuple[dict[str, str], list[str]]:
    """The switches as texts for ``Switches.from_texts``, and the names of the facts that a sandbox cannot copy. What is
    not known keeps the sandbox's default."""
    switches: dict[str, str] = {}
    left_out: list[str] = []

    def value_of(name: str) -> Value:
        return facts[name].value if name in facts else None

    for name in _SAME_NAME:
        value = value_of(name)
        if value in _NOT_POSSIBLE:
            left_out.append(name)
        elif value is not None:
            switches[name] = str(value)
    for name in MEANINGS:
        if name in SECONDS and (seconds := _seconds(facts, name)) is not None:
            switches[name] = f"{seconds:g}"
    status = value_of("error_status")
    if isinstance(status, int):
        switches["error_status"] = "200" if status < 400 else "4xx"
    if isinstance(repeats := value_of("error_repeats"), bool):
        switches["error_texts"] = "repeat" if repeats else "short"
    length = value_of("uid_length")
    if length == 0:
        left_out.append("uid_length")
    elif length is not None:
        switches["uid_length"] = "none" if length == ALL_OF_IT else str(length)
    if value_of("urls") is not None:
        switches["urls"] = str(value_of("urls"))
    titles, rest = _titles(facts)
    switches |= titles
    left_out += rest
    sides = LARGEST_SIDES.get((str(value_of("side_16000")), str(value_of("side_16001"))))
    if sides is not None:
        switches["largest_side"] = sides
    if largest := value_of("largest_image"):
        switches["largest_image"] = str(largest)
    tags = {value_of("orientation_trained"), value_of("orientation_detected")} - {None}
    if len(tags) == 1:
        switches["orientation"] = str(tags.pop())
    elif tags:
        left_out.append("orientation_detected")
    left_out += [
        name
        for name, usual in (("sizes", "as sent"), ("tagged_jpeg", "kept"), ("smallest", "accepted"))
        if value_of(name) not in (usual, None)
    ]
    return switches, left_out


def _seconds(facts: FactsByName, name: str) -> float | None:
    """The middle of the interval; 0 where it may have been at once."""
    fact = facts.get(name)
    if fact is None or not isinstance(fact.value, int | float):
        return None
    return round((fact.value + fact.least) / 2, 2) if fact.least else 0.0


_TITLE_FACTS = ("titles_markup", "titles_stored", "titles_case", "titles_spaces")
_TITLE_CHOICES = {"entities": "html", "nfc": "nfc", "nfd": "nfd", "same class": "fold", "other": "other"}
"""By the value of a fact about titles, the choice of the switch; ``other`` is none of them."""


def _titles(facts: FactsByName) -> tuple[dict[str, str], list[str]]:
    """A sandbox has one habit with titles at a time."""
    values = {name: facts[name].value for name in _TITLE_FACTS if name in facts and facts[name].value is not None}
    found = {name: _TITLE_CHOICES[str(value)] for name, value in values.items() if value in _TITLE_CHOICES}
    choice = next((one for one in found.values() if one != "other"), "exact")
    left_out = [name for name, one in found.items() if one != choice]
    if choice == "fold":
        # A sandbox folds both or none.
        left_out += [name for name in ("titles_case", "titles_spaces") if name in values and name not in found]
    if choice == "exact" and len(values) < len(_TITLE_FACTS):
        return {}, left_out
    if choice == "exact" and "titles_forms" in facts and facts["titles_forms"].value == "same class":
        left_out.append("titles_forms")
    return {"titles": choice}, left_out
