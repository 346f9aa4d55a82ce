"""The number of a comment, made from what the comment is.

Apart from `issue.py` because the merge driver, which Git starts for every merge, must start fast.
"""

import hashlib
import json

from storage.issues import instants


def comment_id(issue_id: str, author: str, at: str, text: str) -> int:
    """Return the number of a comment, which follows from what it is.

    bd counts comments through each database, so two clones give one number to two comments. This
    one is the same wherever the comment is; 53 bits are what every JSON reader keeps.
    """
    said = json.dumps(
        [issue_id, author, instants.in_utc(at), text], ensure_ascii=False, separators=(",", ":")
    )
    digest = hashlib.sha256(said.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") >> 3
