"""A registry of model versions in a folder or a bucket, and which of them is current.

::

    versions/5e1b0c9a77d2/model.npz      the model
    versions/5e1b0c9a77d2/card.json      its card, for readers without this program
    versions/5e1b0c9a77d2/data/...       what it has learned from
    versions/5e1b0c9a77d2/version.json   a `Version`; it is written last
    current.json                         the promotions; the last one names the current version

A version is immutable, and its id is the version that events name: a hash of the model. Only
`current.json` changes. It is replaced whole, and only if nobody else has changed it since it was
read.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from streamer.errors import UNDECODABLE, ConflictError, MissingObjectError, ModelError, StorageError
from streamer.model import artifact
from streamer.model.artifact import Model
from streamer.model.versions import (
    History,
    Promotion,
    Promotions,
    StoredFile,
    Version,
    find_earlier,
)
from streamer.storage.object_store import ObjectStore, Tagged
from streamer.storage.open_store import open_store

MODEL_FILE: Final = "model.npz"
_CARD_FILE: Final = "card.json"
_CURRENT: Final = "current.json"
_VERSIONS: Final = "versions/"
_REMEMBERED: Final = 1000
"""Promotions that are remembered."""


class Registry:
    """A registry of model versions. Its methods block: call them in a thread in an event loop.

    Every method raises StorageError if the folder or the bucket cannot be used.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def open(cls, location: str) -> "Registry":
        """Open the registry in a folder or at `s3://bucket/prefix`; it may be empty."""
        return cls(open_store(location))

    @property
    def location(self) -> str:
        """The folder, or `s3://bucket/prefix`."""
        return self._store.location

    def current_id(self) -> str | None:
        """Return the id of the current version; None while no version was promoted. One request."""
        promotions, _ = self._read_promotions()
        return promotions[-1].version if promotions else None

    def current(self) -> Version:
        """Return the current version.

        Raises:
            ModelError: no version was promoted, or `current` names one that is not there.
        """
        wanted = self.current_id()
        if wanted is None:
            raise ModelError(
                f"{self.location} has no current version; `streamer model promote` names one"
            )
        try:
            return self.get(wanted)
        except ModelError:
            raise ModelError(
                f"the current version of {self.location} is {wanted}, and this version is not "
                "there; `streamer model history` lists those that are, and `streamer model "
                "promote` makes one of them current"
            ) from None

    def get(self, version_id: str) -> Version:
        """Return a version.

        Raises:
            ModelError: there is none with this id, or it cannot be read.
        """
        name = f"{_VERSIONS}{version_id}/version.json"
        try:
            return msgspec.json.decode(self._store.read(name).content, type=Version)
        except MissingObjectError:
            raise ModelError(
                f"{self.location} has no version {version_id}; `streamer model history` lists them"
            ) from None
        except UNDECODABLE as error:
            raise ModelError(f"{self.location}/{name} is not a version: {error}") from None

    def read(self, version: Version, file: str = MODEL_FILE) -> bytes:
        """Return a file of a version.

        Raises:
            ModelError: the version has no such file, or it is not what was added.
        """
        if file not in version.files:
            raise ModelError(f"version {version.id} in {self.location} has no file {file}")
        name = f"{_VERSIONS}{version.id}/{file}"
        try:
            content = self._store.read(name).content
        except MissingObjectError as error:
            raise ModelError(f"{error}, although version {version.id} was added with it") from None
        if _describe(content) != version.files[file]:
            raise ModelError(
                f"{self.location}/{name} is not what was added: it was changed or cut off; "
                "promote another version"
            )
        return content

    def load(self, version: Version) -> Model:
        """Return the model of a version.

        Raises:
            ModelError: its file is not what was added, or cannot be used.
        """
        try:
            return artifact.decode(self.read(version))
        except ModelError as error:
            raise ModelError(f"version {version.id} in {self.location}: {error}") from None

    def add(
        self,
        model: Model,
        *,
        data: Mapping[str, bytes],
        figures: Mapping[str, float],
        parent: str | None,
        note: str,
    ) -> Version:
        """Add a version; it does not become current. A model that is there already stays as it is.

        Args:
            model: the model.
            data: the files that it has learned from, by name.
            figures: of its judgement.
            parent: the version that it was made from.
            note: what it has learned from, or why it was made.

        Raises:
            ModelError: the parent is not there.
        """
        if parent is not None:
            self.get(parent)
        card = msgspec.json.format(msgspec.json.encode(model.card)) + b"\n"
        files = {MODEL_FILE: artifact.encode(model), _CARD_FILE: card} | {
            f"data/{name}": content for name, content in data.items()
        }
        version = Version(
            id=model.version,
            model=model.card.id,
            created_ms=time.time_ns() // 1_000_000,
            parent=parent,
            files={name: _describe(content) for name, content in files.items()},
            figures=dict(figures),
            note=note,
        )
        folder = f"{_VERSIONS}{version.id}"
        if f"{folder}/version.json" in self._store.list(f"{folder}/"):
            return self.get(version.id)
        for name, content in files.items():
            self._store.write(f"{folder}/{name}", content)
        try:
            self._store.replace(f"{folder}/version.json", _encode(version), None)
        except ConflictError:
            return self.get(version.id)
        return version

    def promote(self, version_id: str, reason: str = "", instead_of: str | None = None) -> None:
        """Make a version current, after its model was read and checked.

        Args:
            version_id: the version.
            reason: why, for the history.
            instead_of: the version that must still be current; None if any may be.

        Raises:
            ModelError: the version is not there, or its model cannot be used.
            ConflictError: another version was promoted at the same time. Nothing has changed.
        """
        self.load(self.get(version_id))
        promotions, tag = self._read_promotions()
        current = promotions[-1].version if promotions else None
        if instead_of is not None and current != instead_of:
            raise ConflictError(
                f"{current} became the current version of {self.location} in the meantime, instead "
                f"of {instead_of}; nothing was promoted. Start the update again"
            )
        if current != version_id:
            self._append(promotions, tag, version_id, reason, rollback=False)

    def rollback(self, reason: str = "") -> str:
        """Make the version current that was current before, and return its id.

        A second rollback leads to the version before that one.

        Raises:
            ModelError: there is no version before, or it cannot be used.
            ConflictError: another version was promoted at the same time. Nothing has changed.
        """
        promotions, tag = self._read_promotions()
        earlier = find_earlier(promotions)
        if earlier is None:
            raise ModelError(f"{self.location} has no version before the current one")
        self.load(self.get(earlier))
        self._append(promotions, tag, earlier, reason, rollback=True)
        return earlier

    def history(self) -> History:
        """Return all versions and promotions."""
        ids = sorted(
            {
                name.split("/")[1]
                for name in self._store.list(_VERSIONS)
                if name.endswith("/version.json")
            }
        )
        versions = sorted(map(self.get, ids), key=lambda version: (version.created_ms, version.id))
        return History(versions, self._read_promotions()[0])

    def _read_promotions(self) -> tuple[list[Promotion], str | None]:
        """Return the promotions and the tag of the object; no tag if it is not there."""
        try:
            found: Tagged = self._store.read(_CURRENT)
        except MissingObjectError:
            return [], None
        try:
            promotions = msgspec.json.decode(found.content, type=Promotions).promotions
        except UNDECODABLE as error:
            raise ModelError(
                f"{self.location}/{_CURRENT} cannot be read: {error}; remove it, and promote a "
                "version again"
            ) from None
        return promotions, found.tag

    def _append(
        self,
        promotions: list[Promotion],
        tag: str | None,
        version_id: str,
        reason: str,
        *,
        rollback: bool,
    ) -> None:
        at_ms = time.time_ns() // 1_000_000
        added = Promotion(version=version_id, at_ms=at_ms, reason=reason, rollback=rollback)
        content = _encode(Promotions([*promotions, added][-_REMEMBERED:]))
        try:
            self._store.replace(_CURRENT, content, tag)
        except ConflictError:
            # The AWS SDK repeats a request whose answer is lost; then the first one is the other
            # program.
            if self._read_promotions()[0][-1:] != [added]:
                raise
        if tag is None:
            self._check_conditional(content)

    def _check_conditional(self, content: bytes) -> None:
        """Make sure that the store compares before it writes, once, at the first promotion."""
        try:
            self._store.replace(_CURRENT, content, None)
        except ConflictError:
            return
        raise StorageError(
            f"{self.location} ignores conditional writes (If-None-Match), without which two "
            "updates at once could overwrite each other's promotion; use another store, or a folder"
        )


def _describe(content: bytes) -> StoredFile:
    return StoredFile(len(content), hashlib.sha256(content).hexdigest())


def _encode(value: Version | Promotions) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"
