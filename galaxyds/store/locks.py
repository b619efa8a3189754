"""What file systems say that have no locks."""

from __future__ import annotations

import errno

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


def lacks_locks(error: Exception) -> bool:
    """Whether a lock that could not be taken means that there are none, and not that one is held.

    Parameters
    ----------
    error : Exception
        As ``filelock`` raised it.
    """
    return isinstance(error, NotImplementedError) or (
        isinstance(error, OSError) and error.errno in _NO_LOCKS
    )
