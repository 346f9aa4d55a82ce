"""An answer that has to have a form: how the model is told, and whether what it says has it."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from actors.agents.kit.schema import is_strict, problems
from storage import payload
from storage.errors import PayloadError

_FENCED: Final = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Form:
    """A JSON schema, and how a service is told of it: "json_schema", "json_object" or "none"."""

    schema: dict[str, Any]
    told_as: str

    @property
    def words(self) -> str:
        """For the model, whatever its service makes of the rest."""
        text = json.dumps(self.schema, ensure_ascii=True)
        return f"Answer with JSON only, without a fence. It must fit this JSON schema:\n{text}"

    @property
    def response_format(self) -> dict[str, Any] | None:
        """The protocol's way to say it."""
        match self.told_as:
            case "json_schema":
                strict = is_strict(self.schema)
                told = {"name": "answer", "schema": self.schema, "strict": strict}
                return {"type": "json_schema", "json_schema": told}
            case "json_object":
                return {"type": "json_object"}
        return None

    def read(self, text: str) -> tuple[Any, list[str]]:
        """What an answer says, and what does not fit; what it says counts only when all does."""
        fenced = _FENCED.fullmatch(text)
        try:
            value = json.loads(fenced[1] if fenced else text)
            payload.encode(value)
        except json.JSONDecodeError as error:
            return None, [f"it is no JSON: {error}"]
        except (PayloadError, ValueError, RecursionError) as error:
            return None, [f"it is no JSON that can be used: {error}"[:300]]
        return value, problems(self.schema, value)
