"""Keeps compiled kernels on disk: loading them takes a second, compiling them a minute.

A compiled kernel contains the code and the constants of everything it calls, in whatever module.
numba's own cache looks at the module of the kernel alone, and goes on with old code after a change
in another one. Here the file of a kernel is named by a hash of all that can be in it:

- the source of its module and of every module of the package that this one imports, at any depth,
- the versions of Python, NumPy and numba,
- the types it is compiled for, and the processor.

So a change makes another name, and no kernel is ever out of date. Several versions of the program
can share a folder. Written for numba 0.68, of which it uses `Dispatcher._cache` and what numba's
own cache uses to write a compile result.
"""

import ast
import hashlib
import os
import pickle
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

PACKAGE = Path(__file__).parent
DECORATORS = PACKAGE / "compiled.py"
VERSIONS = (sys.version, np.__version__, numba.__version__, llvmlite.__version__)

UNUSED = ("scipy.linalg.cython_blas", "cffi")
"""Modules that numba imports, where they are installed, for what no kernel does: products of
matrices and calls of C. They take a fifth of a second, and half of it again for their own imports.
"""

kept: set[Path] = set()
"""Folders in which this process has kept kernels that it compiled."""

not_kept: dict[Path, OSError] = {}
"""Folders in which a kernel that this process compiled could not be kept, where none was able."""


def folders() -> list[Path]:
    """Folders where kernels are looked for, and kept in the first that can be written.

    These are ``NUMBA_CACHE_DIR`` if it is set, one beside the package, and one in the user's cache.
    """
    named = os.environ.get("NUMBA_CACHE_DIR")
    users = os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME", "/"), ".cache")
    beside = PACKAGE / "__pycache__" / "kernels"
    return [*([Path(named)] if named else []), beside, Path(users) / "streamer" / "kernels"]


class KernelCache:
    """The cache of one function, in the form that a numba dispatcher asks for."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}".replace("<locals>.", "")
        # Now, and not at the first call: the file may change while the process runs.
        self._sources = sources(Path(function.__code__.co_filename))

    def load_overload(self, signature: object, target: Any) -> Any:
        """Return the compiled function for these types; None if it must be compiled."""
        _import_kernel_support(target)
        target.refresh()
        name = self._file_name(signature, target.codegen())
        for folder in folders():
            try:
                kept = (folder / name).read_bytes()
            except OSError:
                continue
            return CompileResult._rebuild(target, *pickle.loads(kept))  # type: ignore[no-untyped-call]  # noqa: S301, SLF001
        return None

    def save_overload(self, signature: object, result: Any) -> None:
        """Keep what was compiled in the first folder that can be written, if there is one."""
        name = self._file_name(signature, result.codegen)
        contents = dumps(result._reduce())  # type: ignore[no-untyped-call]  # noqa: SLF001
        failed = {}
        for folder in folders():
            try:
                _write(folder / name, contents)
            except OSError as error:
                failed[folder] = error
            else:
                kept.add(folder)
                return
        not_kept.update(failed)

    def _file_name(self, signature: object, codegen: Any) -> str:
        key = repr((VERSIONS, self._sources, signature, codegen.magic_tuple()))
        return f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.kernel"


@cache
def _import_kernel_support(target: Any) -> None:
    """Let numba import what its kernels need, once, and not what is `UNUSED`."""
    with _block(UNUSED):
        target.refresh()


@contextmanager
def _block(modules: Iterable[str]) -> Iterator[None]:
    """Let imports of modules fail in this context, as if they were not installed.

    Modules that are imported already stay so.
    """
    blocked = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]


def _write(path: Path, contents: bytes) -> None:
    """Write a file that others see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(contents)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


@cache
def sources(module: Path) -> str:
    """Return a hash of a module and of all modules of the package that it imports, at any depth."""
    found, following = set(), [module]
    while following:
        path = following.pop()
        if path not in found:
            found.add(path)
            # Nothing of what the decorators import becomes part of a kernel.
            following += _imported(path) if path != DECORATORS else ()
    return hashlib.sha256(b"".join(sorted(map(_source, found)))).hexdigest()


@cache
def _source(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


@cache
def _imported(path: Path) -> frozenset[Path]:
    """Return the modules of the package that a module imports."""
    # Imports stand before the first definition; parsing all of it would take four times as long.
    head = re.split(r"^(?:@|def |class )", path.read_text("utf-8"), maxsplit=1, flags=re.MULTILINE)
    names = set()
    for node in ast.walk(ast.parse(head[0])):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    modules = set()
    for name in names:
        package, *parts = name.split(".")
        if package == PACKAGE.name:
            module = PACKAGE.joinpath(*parts)
            files = module.with_suffix(".py"), module / "__init__.py"
            modules |= {file for file in files if file.is_file()}
    return frozenset(modules)
