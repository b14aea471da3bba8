"""Every error that OmniRecall raises on purpose, by what the caller can do about it.

::

    OmniRecallError
    ├── ConfigError              mend the configuration
    ├── SourceError              choose or mend the medium
    │   ├── SourceGone           missing, unplugged, no permission: bring it back
    │   ├── SourceCorrupt        damaged: what could be decoded was kept
    │   └── SourceRefused        never acceptable: not media, a forbidden protocol
    ├── WireError                a message was dropped and counted; the sender is wrong
    │   ├── Malformed            not MessagePack, or not of the type of its topic
    │   ├── TooLarge             over a bound on parts, bytes, depth or length
    │   ├── VersionMismatch      another major version of the protocol
    │   └── Unauthorised         the peer has no key for this endpoint
    ├── StoreError               the store needs its owner
    │   ├── StoreBusy            another process holds the store's lock
    │   ├── DiskFull             free some space; intake is paused, questions go on
    │   ├── Corrupt              a file fails its checksum; views are rebuilt by themselves
    │   └── SchemaTooNew         written by a newer release; nothing was touched
    ├── ModelError               the model cannot serve
    │   ├── ModelMissing         run `omnirecall models pull`
    │   ├── ModelDamaged         sha256 differs; pull it again
    │   └── ModelFailed          it was there and failed on this input
    ├── RoleUnavailable          a process is not there (yet); try again
    │   └── RoleBroken           it is not restarted any more: mend what it names
    ├── DeadlineExceeded         no answer in time; nothing was changed by waiting
    └── Cancelled                somebody withdrew the question

Each carries a `remedy`: one sentence that tells a person what to do, and an
`exit_code` that commands end with. Codes: 2 usage and configuration, 3 input,
4 store, 5 models, 6 processes and time, 7 wire.
"""

from __future__ import annotations


class OmniRecallError(Exception):
    """Root of the tree.

    Args:
        message: What is wrong, naming the file or process that it concerns.
        remedy: What a person can do about it; empty where nothing can be done.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class ConfigError(OmniRecallError):
    """An unknown key, a value out of range, or a preset that does not exist."""

    exit_code = 2


class SourceError(OmniRecallError):
    """A medium could not be read, in whole or in part."""

    exit_code = 3


class SourceGone(SourceError):
    """The medium is missing, unplugged or not permitted."""


class SourceCorrupt(SourceError):
    """The medium is damaged; everything decoded before this was kept."""


class SourceRefused(SourceError):
    """The medium is of a kind that is never read."""


class WireError(OmniRecallError):
    """A message was rejected and counted."""

    exit_code = 7


class Malformed(WireError):
    """The frames are not a message of their topic."""


class TooLarge(WireError):
    """A bound on parts, bytes, depth or length was broken."""


class VersionMismatch(WireError):
    """The message speaks another major version of the protocol."""


class Unauthorised(WireError):
    """The peer has no key for this endpoint."""


class StoreError(OmniRecallError):
    """The store cannot do what was asked."""

    exit_code = 4


class StoreBusy(StoreError):
    """Another process holds the store's lock."""


class DiskFull(StoreError):
    """No space is left; intake pauses, questions are still answered."""


class Corrupt(StoreError):
    """A file of the store fails its checksum."""


class SchemaTooNew(StoreError):
    """The store was written by a newer release and was left untouched."""


class ModelError(OmniRecallError):
    """A model cannot serve."""

    exit_code = 5


class ModelMissing(ModelError):
    """The files of a model are not on this machine."""


class ModelDamaged(ModelError):
    """The files of a model do not have the sha256 of the lock file."""


class ModelFailed(ModelError):
    """A model raised on this input."""


class RoleUnavailable(OmniRecallError):
    """A process of the pipeline does not answer."""

    exit_code = 6


class RoleBroken(RoleUnavailable):
    """A process failed for good, or too often: waiting does not help."""


class DeadlineExceeded(OmniRecallError):
    """No reply came before the deadline."""

    exit_code = 6


class Cancelled(OmniRecallError):
    """The question was withdrawn before it was answered."""

    exit_code = 6
