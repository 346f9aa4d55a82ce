"""What is refused of results and artifacts, beyond what every request may be refused for."""
# ruff: noqa: N818 - as in actors.errors, the names are the words of the field

from actors.errors import ValidationError, WorkflowError
from supervision import Refused


class TooLarge(ValidationError):
    """A content is larger than an artifact may be."""

    code = "artifact_too_large"
    status = 413
    hint = "store it in parts, or raise artifact_limit_mib in the server's settings"


class TooMuch(ValidationError):
    """A workflow has as many bytes of artifacts as it may have."""

    code = "artifacts_too_large"
    status = 413
    hint = "store less, or raise artifacts_limit_mib in the server's settings"


class CutOff(WorkflowError, Refused):
    """A content ended before it was whole, or nothing came of it for too long."""

    code = "artifact_cut_off"
    status = 408
    retryable = True
    hint = "send it again, without long pauses; nothing was stored"


class ArtifactUnusable(WorkflowError, Refused):
    """The content of an artifact is damaged or missing: it is not served."""

    code = "artifact_damaged"
    status = 500
    hint = "store the same file again, or restore a backup; `beadflow db check` names all that are"


class NotStored(WorkflowError, Refused):
    """A content could not be written, for a reason that is the disk's; nothing is left of it."""

    code = "artifact_not_stored"
    status = 500
    hint = "check the disk of the data directory, and look into the server's log"
