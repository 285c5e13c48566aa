"""JSON Schema validation, by the `jsonschema` package: loaded when first needed (it takes longer than all of ours).

A schema that refers outside itself is not fetched (P45): with such a reference, as with a schema that is none,
nothing is validated.
"""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Raw

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

MAX_REASON_CHARS = 400


def violation(schema: Raw, value: Any) -> str:
    """Return why `value` does not satisfy `schema`, empty when it does, or when the schema itself is of no use."""
    validator = _validator(bytes(schema))
    if validator is None:
        return ""
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        error = best_match(validator.iter_errors(value))
    except (Unresolvable, RecursionError, ArithmeticError, ValueError):
        return ""
    if error is None:
        return ""
    where = error.json_path.removeprefix("$").removeprefix(".")
    reason = f"{where}: {error.message}" if where else error.message
    return reason if len(reason) <= MAX_REASON_CHARS else reason[:MAX_REASON_CHARS] + "..."


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> "Validator | None":
    """Return a validator, None for a schema that is none. Checking a schema takes long, so each is checked once."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry

    try:
        decoded = json.loads(schema)
        if not isinstance(decoded, dict) or not isinstance(decoded.get("$schema", ""), str):
            return None
        kind = validator_for(decoded, default=Draft202012Validator)
        kind.check_schema(decoded)
        validator: Validator = kind(decoded, registry=Registry())
    except (ValueError, RecursionError, SchemaError):
        return None
    return validator
