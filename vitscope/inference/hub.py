"""Weights from the network: found in the cache, downloaded within bounds, or one line that says why not."""

from __future__ import annotations

import hashlib
import logging
import re
import sys
import urllib.request
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http.client import HTTPException
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError

from vitscope.errors import EnvironmentFault
from vitscope.paths import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["download", "download_from_hub", "hub_refusal", "quietly"]

_SECONDS = 5.0
_TALKATIVE = ("huggingface_hub", "timm", "transformers")
_BLOCK = 1 << 20
_OFFLINE = "give the weights with --weights FILE, or fetch them where there is a network into the same cache"


def hub_refusal() -> str:
    """Return why the hub of Hugging Face cannot be reached; empty where it can. One try, of five seconds.

    The hub's own client tries six times, for half a minute and with a warning each; so it is asked first.
    """
    from huggingface_hub import constants, get_session

    try:
        with quietly():
            get_session().head(constants.ENDPOINT, timeout=_SECONDS)
    except Exception as error:  # whatever the client of the day raises: names, proxies, certificates, time
        return _reason(error)
    return ""


def download_from_hub(repository: str, file: str) -> Path:
    """Return a file of a repository of the hub, from the cache if it is there.

    Raises:
        EnvironmentFault: The hub cannot be reached, or does not have it.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, file)
    if isinstance(cached, str):
        return Path(cached)
    if refusal := hub_refusal():
        raise EnvironmentFault(
            f"cannot reach the hub for the weights of {repository}: {refusal}", hint=_OFFLINE
        )
    try:
        with quietly():
            return Path(hf_hub_download(repository, file))
    except Exception as error:  # no such repository or file, a login needed, a full disk
        raise EnvironmentFault(
            f"cannot download {file} of {repository}: {_reason(error)}", hint=_OFFLINE
        ) from error


def download(url: str, folder: Path) -> Path:
    """Return a file whose name ends in its checksum's first digits, downloading it where it is missing.

    Args:
        url: Its address, such as `…/resnet18-f37072fd.pth`, as torch names its files.
        folder: The cache.

    Raises:
        EnvironmentFault: It cannot be downloaded, or its checksum is another.
    """
    path = folder / url.rpartition("/")[2]
    if path.exists():
        return path
    known = re.search(r"-([0-9a-f]{8,})\.", path.name)
    try:
        with write_atomically(path) as temporary:
            found = _fetch(url, temporary)
            if known is not None and not found.startswith(known[1]):
                raise EnvironmentFault(
                    f"{url} came damaged: its checksum is not {known[1]}", hint="try once more"
                )
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        raise EnvironmentFault(f"cannot download {url}: {_reason(error)}", hint=_OFFLINE) from error
    return path


def _fetch(url: str, path: Path) -> str:
    hasher = hashlib.sha256()
    request = urllib.request.Request(url, headers={"User-Agent": "vitscope"})  # noqa: S310 - from torchvision
    with urllib.request.urlopen(request, timeout=2 * _SECONDS) as answer, path.open("wb") as stream:  # noqa: S310
        while block := answer.read(_BLOCK):
            hasher.update(block)
            stream.write(block)
    return hasher.hexdigest()


@contextmanager
def quietly() -> Iterator[None]:
    """Spare stderr the libraries' warnings, and a log file their progress bars; a terminal keeps the bars."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    stream = sys.stderr if sys.stderr.isatty() else StringIO()
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stdout(stream), redirect_stderr(stream):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None) or error
    return (" ".join(str(inner).split()) or type(error).__name__)[:200]
