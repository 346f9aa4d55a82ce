"""What a documentation agent can be set up with."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Word = Annotated[str, Field(pattern=r"^[\w'-]{1,100}$")]


class DocumentationConfig(BaseModel):
    """The same for all that it looks at.

    Attributes:
        run_code: whether the code blocks of documents are run, unless a request says otherwise.
        code_timeout_s: for the Python blocks of one document, and for each console command.
        words: that are spelt right although a dictionary says otherwise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_code: bool = True
    code_timeout_s: int = Field(default=30, ge=1, le=3_600)
    words: tuple[Word, ...] = Field(default=(), max_length=10_000)
