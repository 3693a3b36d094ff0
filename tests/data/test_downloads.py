from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import pickle
import socket
import struct
import tarfile
import threading
import time

import numpy as np
import pytest

from vitscope.data.downloads import DOWNLOADS, data_folder, load_download
from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import DataError, EnvironmentFault

datasets = pytest.importorskip("torchvision.datasets")
NAMES = ["airplane", "cat"]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("VITSCOPE_DATA", raising=False)


@pytest.fixture
def server(tmp_path):
    """A web server of the folder `tmp_path / "web"`: its address."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()
        thread.join()


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Python2Pickler(pickle.Pickler):
    """Writes an array's type as Python 2 did, and as the real files have it: NumPy warns of its `align=0`."""

    def reducer_override(self, value):
        if isinstance(value, np.dtype):
            return np.dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)
        return NotImplemented


def pickled(value):
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def md5(data):
    return hashlib.md5(data).hexdigest()


def batch(count, seed):
    random = np.random.default_rng(seed)
    return {
        "data": random.integers(0, 256, (count, 3072), dtype=np.uint8),
        "labels": [index % 2 for index in range(count)],
    }


def cifar_archive(batches):
    """Return an archive in CIFAR-10's format, and the checksums of its files."""
    files = {name: pickled(content) for name, content in batches.items()}
    files["batches.meta"] = pickle.dumps({"label_names": NAMES})
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue(), {name: md5(data) for name, data in files.items()}


@pytest.fixture
def small_cifar(server, tmp_path, monkeypatch):
    """CIFAR-10 with 30 images on the local server, with checksums that fit."""
    batches = {f"data_batch_{index}": batch(4, index) for index in range(1, 6)} | {"test_batch": batch(10, 9)}
    archive, checksums = cifar_archive(batches)
    (tmp_path / "web" / "cifar.tar.gz").write_bytes(archive)
    source = datasets.CIFAR10
    monkeypatch.setattr(source, "url", f"{server}/cifar.tar.gz")
    monkeypatch.setattr(source, "tgz_md5", md5(archive))
    monkeypatch.setattr(
        source, "train_list", [[f"data_batch_{k}", checksums[f"data_batch_{k}"]] for k in range(1, 6)]
    )
    monkeypatch.setattr(source, "test_list", [["test_batch", checksums["test_batch"]]])
    monkeypatch.setattr(source, "meta", source.meta | {"md5": checksums["batches.meta"]})
    return batches


def test_a_download_is_read_as_it_was_packed(small_cifar, tmp_path, capsys):
    root = str(tmp_path / "data")
    test = load_split(DataSpec("cifar10", root=root), "test")
    assert np.array_equal(test.array, small_cifar["test_batch"]["data"].reshape(10, 3, 32, 32))
    assert test.labels.tolist() == small_cifar["test_batch"]["labels"]
    assert (test.classes, test.name, test.split) == (("airplane", "cat"), "cifar10", "test")
    train, validation = (
        load_split(DataSpec("cifar10", root=root), split) for split in ("train", "validation")
    )
    assert (len(train), len(validation)) == (18, 2)
    stacked = np.concatenate([small_cifar[f"data_batch_{k}"]["data"] for k in range(1, 6)]).reshape(
        -1, 3, 32, 32
    )
    assert np.array_equal(train.array, stacked[np.array(train.names, dtype=int)])
    assert capsys.readouterr() == ("", "")  # a log file is spared the bar


def test_what_is_on_disk_is_not_fetched_again(small_cifar, tmp_path, monkeypatch, closed_port):
    root = str(tmp_path / "data")
    load_download("cifar10", train=True, root=root)
    monkeypatch.setattr(datasets.CIFAR10, "url", f"http://127.0.0.1:{closed_port}/cifar.tar.gz")
    assert len(load_download("cifar10", train=False, root=root)[0]) == 10


def test_an_archive_put_there_by_hand_is_unpacked(small_cifar, tmp_path, monkeypatch, closed_port):
    root = tmp_path / "data"
    root.mkdir()
    (root / datasets.CIFAR10.filename).write_bytes((tmp_path / "web" / "cifar.tar.gz").read_bytes())
    monkeypatch.setattr(datasets.CIFAR10, "url", f"http://127.0.0.1:{closed_port}/cifar.tar.gz")
    assert len(load_download("cifar10", train=True, root=str(root))[0]) == 20


def test_a_download_that_lies_is_refused_before_it_is_unpacked(small_cifar, tmp_path):
    web = tmp_path / "web" / "cifar.tar.gz"
    web.write_bytes(web.read_bytes() + b"more")
    with pytest.raises(EnvironmentFault, match=r"cannot download cifar10 to .*corrupted") as caught:
        load_download("cifar10", train=True, root=str(tmp_path / "data"))
    assert caught.value.exit_code == 4
    assert not (tmp_path / "data" / "cifar-10-batches-py").exists()


def test_a_missing_file_on_the_server_is_said(small_cifar, tmp_path, server, monkeypatch):
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{server}/gone.tar.gz")
    with pytest.raises(EnvironmentFault, match="not found"):
        load_download("cifar10", train=True, root=str(tmp_path / "data"))


@pytest.mark.parametrize("name", DOWNLOADS)
def test_without_a_network_it_says_what_to_do_within_seconds(name, tmp_path, monkeypatch, closed_port):
    source = getattr(datasets, DOWNLOADS[name])
    address = f"http://127.0.0.1:{closed_port}/"
    monkeypatch.setattr(source, "url", f"{address}{name}.tar.gz", raising=False)
    monkeypatch.setattr(source, "mirrors", [address], raising=False)
    start = time.monotonic()
    with pytest.raises(EnvironmentFault, match=rf"cannot download {name} to .*refused") as caught:
        load_download(name, train=False, root=str(tmp_path))
    assert time.monotonic() - start < 10
    assert "\n" not in str(caught.value)
    assert "VITSCOPE_DATA" in caught.value.hint
    assert socket.getdefaulttimeout() is None


def test_a_server_that_says_nothing_is_given_up(small_cifar, tmp_path, monkeypatch):
    monkeypatch.setattr("vitscope.data.downloads._SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(
            datasets.CIFAR10, "url", f"http://127.0.0.1:{silent.getsockname()[1]}/cifar.tar.gz"
        )
        with pytest.raises(EnvironmentFault, match="timed out"):
            load_download("cifar10", train=True, root=str(tmp_path / "data"))


def test_a_place_that_cannot_be_written_is_said(small_cifar, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot download cifar10"):
        load_download("cifar10", train=True, root=str(tmp_path / "file" / "data"))


def idx(values):
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def test_grey_images_have_one_channel(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(20, dtype=np.uint8) % 10))
    array, labels, classes = load_download("fashion-mnist", train=False, root=str(tmp_path))
    assert np.array_equal(array[:, 0], images)
    assert labels.tolist() == [index % 10 for index in range(20)]
    assert len(classes) == 10


def test_a_damaged_copy_on_disk_is_said(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (raw / f"{part}-{kind}-ubyte").write_bytes(gzip.compress(b"nonsense"))
    with pytest.raises(DataError, match=r"fashion-mnist in .* cannot be read") as caught:
        load_download("fashion-mnist", train=True, root=str(tmp_path))
    assert "remove" in caught.value.hint


def test_where_downloads_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert data_folder() == tmp_path / ".cache" / "vitscope"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_folder() == tmp_path / "cache" / "vitscope"
    monkeypatch.setenv("VITSCOPE_DATA", str(tmp_path / "data"))
    assert data_folder() == tmp_path / "data"
    assert data_folder(str(tmp_path / "root")) == tmp_path / "root"
    assert data_folder("~/here") == tmp_path / "here"
