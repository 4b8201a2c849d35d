"""Named objects in a folder or a bucket: what registries and stores are made of."""

from typing import NamedTuple, Protocol

from streamer.errors import MissingObjectError


class Tagged(NamedTuple):
    """The content of an object, and a tag that changes whenever the content does."""

    content: bytes
    tag: str


class ObjectStore(Protocol):
    """Objects by name, such as `versions/3/card.json`. A reader sees all of an object or none.

    Every method raises StorageError if the folder or the bucket cannot be used. The methods block:
    call them in a thread where an event loop runs. Several threads may share a store.
    """

    @property
    def location(self) -> str:
        """The folder, or `s3://bucket/prefix`, for messages."""

    def read(self, name: str) -> Tagged:
        """Return an object.

        Raises:
            MissingObjectError: there is none of this name.
        """

    def write(self, name: str, content: bytes) -> None:
        """Write an object, in place of the one that has this name."""

    def replace(self, name: str, content: bytes, tag: str | None) -> None:
        """Write an object if the present one still has this tag; None: if there is none.

        Raises:
            ConflictError: another writer was faster. Nothing was written.
        """

    def list(self, prefix: str = "") -> list[str]:
        """Return the names that begin with a prefix, sorted."""

    def delete(self, name: str) -> None:
        """Remove an object, if there is one of this name."""


def missing(store: ObjectStore, name: str) -> MissingObjectError:
    """Return the error of an object that is not there."""
    return MissingObjectError(f"{store.location} has no {name}")
