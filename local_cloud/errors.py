"""What can go wrong in the local cloud.

LocalCloudError             shown to the person who runs it: what, where, and a hint
├── PortInUse               the wanted port belongs to another process
├── StartFailed             the server process ended before it answered
├── ForeignState            the state directory was written by something else
├── MinistackChanged        the installed ministack is not the one that local_cloud/ministack patches
└── ImageError              a container image has no local counterpart, or it cannot be built
"""


class LocalCloudError(Exception):
    """An error of the local cloud itself; the message says what, where, and ends in a ``hint:`` line."""


class PortInUse(LocalCloudError):
    pass


class StartFailed(LocalCloudError):
    pass


class ForeignState(LocalCloudError):
    pass


class MinistackChanged(LocalCloudError):
    pass


class ImageError(LocalCloudError):
    pass
