"""Downloads within bounds: from a server that lies, refuses or drips."""

from __future__ import annotations

import hashlib
import logging
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vitscope.errors import EnvironmentFault
from vitscope.inference import hub
from vitscope.inference.hub import download, download_from_hub, hub_refusal, quietly

BODY = b"weights" * 1000
SUM = hashlib.sha256(BODY).hexdigest()[:8]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if "missing" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if "cut" in self.path:
            self.wfile.write(BODY[:100])
            return
        if "drip" in self.path:
            self.wfile.write(b"w")
            self.wfile.flush()
            time.sleep(1.5)
            return
        self.wfile.write(BODY if "lies" not in self.path else BODY[::-1])

    def do_HEAD(self):
        self.send_error(404)

    def log_message(self, *_):
        """Stay silent."""


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_fetched_once(address, tmp_path, monkeypatch):
    path = download(f"{address}/model-{SUM}.pth", tmp_path / "cache")
    assert path == tmp_path / "cache" / f"model-{SUM}.pth"
    assert path.read_bytes() == BODY
    monkeypatch.setattr("urllib.request.urlopen", None)
    assert download(f"{address}/model-{SUM}.pth", tmp_path / "cache") == path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"lies-{SUM}.pth", "checksum"),
        (f"missing-{SUM}.pth", "Not Found"),
        (f"cut-{SUM}.pth", "checksum|incomplete|IncompleteRead"),
        (f"drip-{SUM}.pth", "timed out|checksum|IncompleteRead"),
    ],
)
def test_what_goes_wrong_leaves_no_file(name, message, address, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_SECONDS", 0.3)
    began = time.perf_counter()
    with pytest.raises(EnvironmentFault, match=message) as caught:
        download(f"{address}/{name}", tmp_path)
    assert time.perf_counter() - began < 5
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_nobody_answers(tmp_path):
    with pytest.raises(EnvironmentFault, match="refused"):
        download("http://127.0.0.1:9/model-00000000.pth", tmp_path)


def test_the_hub_refuses_at_once(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    began = time.perf_counter()
    assert "refused" in hub_refusal()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        EnvironmentFault, match=r"cannot reach the hub for the weights of some/model: .*refused"
    ):
        download_from_hub("some/model", "model.safetensors")
    assert time.perf_counter() - began < 10
    assert capfd.readouterr() == ("", "")


def test_the_hub_answers_but_has_not_the_file(address, monkeypatch, tmp_path):
    template = address + "/missing/{repo_id}/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "hub_refusal", lambda: "")
    with pytest.raises(EnvironmentFault) as caught:
        download_from_hub("some/model", "model.safetensors")
    assert "\n" not in str(caught.value)


def test_what_is_in_the_cache_needs_no_network(tmp_path, monkeypatch):
    snapshot = tmp_path / "models--some--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"x")
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "hub_refusal", None)
    assert download_from_hub("some/model", "model.safetensors") == snapshot / "model.safetensors"


def talk_and_fail():
    with quietly():
        logging.getLogger("timm").error("not to be seen")
        sys.stdout.write("nor this")
        sys.stderr.write("nor this")
        raise ValueError("by hand")


def test_libraries_are_quiet_and_loud_again(capfd):
    before = logging.getLogger("timm").level
    with pytest.raises(ValueError, match="by hand"):
        talk_and_fail()
    assert logging.getLogger("timm").level == before
    assert capfd.readouterr() == ("", "")
