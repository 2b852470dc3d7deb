import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import random
import re
import socket
import ssl
import stat
import subprocess
import sys
import tarfile
import threading
import time
import unicodedata
import zipfile
import zlib
from pathlib import Path

import pytest

from common import steps
from common.errors import DataError, InputError, SaveError
from common.io import fetch as download
from common.io import unpack as unpacking
from common.io.fetch import DownloadError, Remote, fetch, fetch_all, fetch_unpacked
from common.io.unpack import unpack

BODY = random.Random(0).randbytes(300_000)
INSTEAD = "--data mnist5k needs no download"

# For localhost and 127.0.0.1 in these tests; nothing else trusts it.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgli1kQPYQpiSlHmOr
A4fSxTJAXXvZyf666CKjs/RO/BGhRANCAARRqYFS5d3I59FhPlhxlzv74b1iFlxk
xHgq8fmhs+HoFRgA/84BqdBz4IcVePzEv1NsfixovJTZmbjBxyOHjRXD
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBizCCATKgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFGpgVLl3cjn0WE+
WHGXO/vhvWIWXGTEeCrx+aGz4egVGAD/zgGp0HPghxV4/MS/U2x+LGi8lNmZuMHH
I4eNFcOjczBxMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgKEMBMGA1Ud
JQQMMAoGCCsGAQUFBwMBMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAdBgNV
HQ4EFgQUoQ+BF6VjcPqDrQWFKw7Wbb05Y0QwCgYIKoZIzj0EAwIDRwAwRAIgQGes
2eTcJ8+OkFE66SPYEi7fiimzRrtWKAC/wLv3OJwCIAH5UjAhDF3dO73A2e/gF7v4
9jL7VjyYUHio1oAhrLK1
-----END CERTIFICATE-----
"""


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives the answers that a test lined up; the last is given again and again."""

    def do_GET(self):
        answers, asked = self.server.answers, self.server.asked
        asked.append(self.headers["Range"])
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            answer(self)

    do_CONNECT = do_GET

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def give(self, *answers):
        self.answers, self.asked = list(answers), []


def answer(status, *, headers=(), body=b""):
    def send(handler):
        handler.send_response(status)
        for name, value in dict(headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


def whole(body=BODY):
    return answer(200, headers={"Content-Length": len(body)}, body=body)


def cut(size, body=BODY):
    """Announce the whole and close the connection early."""
    return answer(200, headers={"Content-Length": len(body)}, body=body[:size])


def ranged(body=BODY):
    def send(handler):
        first = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
        if first >= len(body):
            return answer(416, headers={"Content-Range": f"bytes */{len(body)}"})(handler)
        span = f"bytes {first}-{len(body) - 1}/{len(body)}"
        headers = {"Content-Range": span, "Content-Length": len(body) - first}
        return answer(206, headers=headers, body=body[first:])(handler)

    return send


def redirect(url):
    return answer(302, headers={"Location": url, "Content-Length": 0})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    path = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    path.write_text(CERTIFICATE)
    return path


@pytest.fixture(scope="module")
def one_server(certificate):
    with Server() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server
        server.shutdown()


@pytest.fixture
def server(one_server, certificate, monkeypatch):
    """Serve https on loopback, with a certificate that is trusted as a user would have it so."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(download, "_WAITS", (0, 0, 0))
    one_server.give()
    return one_server


def remote(server, body=BODY, name="digits.bin", **changes):
    url = f"https://localhost:{server.server_port}/sets/{name}"
    return Remote(**{"url": url, "sha256": sha256(body), "size": len(body), **changes})


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def failure(remote, folder, error=DownloadError, **options):
    """Return the message of a fetch that must fail, which is one line."""
    with pytest.raises(error) as caught:
        fetch(remote, folder, instead=INSTEAD, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def files(folder):
    """Return the files of a folder and their contents, without locks."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if path.suffix != ".lock"
    }


class Listener:
    """Keeps each step that begins."""

    def __init__(self):
        self.heard = []

    def begun(self):
        self.heard.append(steps.current()[-1])

    def ended(self):
        pass


# A file


def test_a_file_is_downloaded_once_and_shown(server, tmp_path):
    server.give(whole())
    seen = []
    folder = tmp_path / "new" / "folder"
    path = fetch(remote(server), folder, instead=INSTEAD, show=lambda *each: seen.append(each))
    assert path == folder / "digits.bin"
    assert files(folder) == {"digits.bin": BODY}
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert fetch(remote(server), folder, instead=INSTEAD) == path
    assert server.asked == [None]


def test_several_files_are_shown_as_one(server, tmp_path):
    server.give(whole(b"one"), whole(b"three"))
    remotes = [remote(server, b"one", "1"), remote(server, b"three", "2")]
    seen = []
    paths = fetch_all(remotes, tmp_path, instead=INSTEAD, show=lambda *each: seen.append(each))
    assert [path.read_bytes() for path in paths] == [b"one", b"three"]
    assert seen[-1] == (8, 8)
    assert {total for _, total in seen} == {8}


def test_each_file_has_a_step_of_what_is_done_with_it(server, tmp_path):
    server.give(whole(b"one"), whole(b"three"))
    remotes = [remote(server, b"one", "1"), remote(server, b"three", "2")]
    listener = Listener()
    with steps.heard_by(listener):
        fetch_all(remotes, tmp_path, instead=INSTEAD)
        fetch_all(remotes, tmp_path, instead=INSTEAD)
    assert [(each.text, each.total, each.done) for each in listener.heard] == [
        ("downloading 1", 3, 3),
        ("downloading 2", 5, 5),
        ("checking 1", None, 0),
        ("checking 2", None, 0),
    ]


def test_a_file_that_is_there_needs_no_network_and_no_right_to_write(server, tmp_path):
    (tmp_path / "digits.bin").write_bytes(BODY)
    tmp_path.chmod(0o500)
    assert fetch(remote(server), tmp_path, instead=INSTEAD).read_bytes() == BODY
    assert server.asked == []
    assert [path.name for path in tmp_path.iterdir()] == ["digits.bin"]


def test_a_wrong_file_that_is_there_is_named_and_not_touched(server, tmp_path):
    server.give(whole())
    (tmp_path / "digits.bin").write_bytes(b"mine")
    said = failure(remote(server), tmp_path)
    assert sha256(b"mine") in said
    assert sha256(BODY) in said
    assert str(tmp_path / "digits.bin") in said
    assert files(tmp_path) == {"digits.bin": b"mine"}
    assert server.asked == []


def test_the_first_digits_of_a_hash_will_do(server, tmp_path):
    server.give(whole())
    fetch(remote(server, sha256=sha256(BODY)[:8]), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}


def test_a_body_of_unannounced_length_is_read_to_its_end(server, tmp_path):
    server.give(answer(200, body=BODY))
    fetch(remote(server, size=len(BODY) + 1), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}


@pytest.mark.parametrize("digits", ["", "1234567", "G" * 64, "0" * 65, "AB" * 32])
def test_a_remote_needs_a_hash(digits):
    with pytest.raises(ValueError, match="SHA-256"):
        Remote("https://localhost/x", digits, 1)


@pytest.mark.parametrize(
    "url", ["https://localhost/", "https://localhost/a%2F..", "https://h/a%5Cb"]
)
def test_a_remote_needs_the_name_of_a_file(url):
    with pytest.raises(ValueError, match="name"):
        Remote(url, "0" * 64, 1)


def test_the_name_comes_from_the_url():
    assert Remote("https://localhost/a/b%20c.gz?raw=1", "0" * 64, 1).name == "b c.gz"


# Interrupted


def test_a_download_goes_on_where_it_was_cut(server, tmp_path):
    server.give(cut(100_000), ranged())
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}
    assert server.asked == [None, "bytes=100000-"]


def test_a_short_body_is_kept_for_the_next_try(server, tmp_path):
    server.give(cut(100_000))
    assert "100,000 of 300,000 bytes" in failure(remote(server), tmp_path)
    assert files(tmp_path) == {"digits.bin.part": BODY[:100_000]}
    assert len(server.asked) == 4
    server.give(ranged())
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}


def test_a_server_that_ignores_ranges_sends_it_all_again(server, tmp_path):
    server.give(cut(100_000), whole())
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}


@pytest.mark.parametrize("first", [5, 2000])
def test_another_range_than_asked_for_is_not_trusted(first, server, tmp_path):
    (tmp_path / "digits.bin.part").write_bytes(BODY[:1000])
    span = {"Content-Range": f"bytes {first}-299999/300000", "Content-Length": 300_000 - first}
    server.give(answer(206, headers=span, body=BODY[first:]), whole())
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}


def test_a_range_that_was_not_asked_for_is_not_trusted(server, tmp_path):
    span = {"Content-Range": "bytes 5-299999/300000", "Content-Length": 299_995}
    server.give(answer(206, headers=span, body=BODY[5:]))
    assert f"its SHA-256 is {sha256(BODY[5:])}" in failure(remote(server), tmp_path)
    assert files(tmp_path) == {}


def test_a_file_that_changed_in_between_is_fetched_anew(server, tmp_path):
    server.give(cut(100_000, body=BODY[::-1]), ranged(), whole())
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}
    assert server.asked == [None, "bytes=100000-", None]


@pytest.mark.parametrize("part", [BODY, BODY[::-1]], ids=["right", "wrong"])
def test_a_part_that_is_complete_is_verified(part, server, tmp_path):
    (tmp_path / "digits.bin.part").write_bytes(part)
    server.give(*([ranged()] if part == BODY else [ranged(), whole()]))
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}


CLIENT = """
import sys
from pathlib import Path
from common.io.fetch import Remote, fetch
url, sha256, size, folder = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
print(fetch(Remote(url, sha256, int(size)), Path(folder), instead="nothing"))
"""


@contextlib.contextmanager
def client(of, folder):
    arguments = [of.url, of.sha256, str(of.size), str(folder)]
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(download.__file__).parents[2],
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def go(process):
    process.stdin.write("\n")
    process.stdin.flush()


def until(holds):
    for _ in range(6000):  # on a busy machine it may take a while
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("waited for 60 s in vain")


def test_a_process_killed_half_way_leaves_no_file_but_its_part(server, tmp_path):
    killed = threading.Event()

    def half(handler):
        cut(150_000)(handler)
        killed.wait(10)

    server.give(half, ranged())
    part = tmp_path / "digits.bin.part"
    with client(remote(server), tmp_path) as process:
        go(process)
        until(lambda: part.exists() and part.stat().st_size)
        process.kill()
        process.wait()
    killed.set()
    size = part.stat().st_size
    assert files(tmp_path) == {"digits.bin.part": BODY[:size]}
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}
    assert server.asked == [None, f"bytes={size}-"]


def test_of_two_processes_one_downloads(server, tmp_path):
    together = threading.Event()

    def slow(handler):
        together.wait(10)
        whole()(handler)

    server.give(slow)
    with client(remote(server), tmp_path) as one, client(remote(server), tmp_path) as two:
        go(one)
        until(lambda: server.asked)
        go(two)
        with pytest.raises(subprocess.TimeoutExpired):
            two.wait(0.2)
        together.set()
        assert [one.communicate()[0], two.communicate()[0]] == [f"{tmp_path}/digits.bin\n"] * 2
    assert files(tmp_path) == {"digits.bin": BODY}
    assert server.asked == [None]


# Refused and broken


def test_a_wrong_checksum_names_both_and_leaves_nothing(server, tmp_path):
    server.give(whole(b"x" * len(BODY)))
    said = failure(remote(server), tmp_path)
    assert sha256(b"x" * len(BODY)) in said
    assert sha256(BODY) in said
    assert files(tmp_path) == {}
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Content-Length": len(BODY)}, "sends 300,000 bytes, more than the 1,000 bytes expected"),
        ({}, "sends more than the 1,000 bytes expected"),
    ],
)
def test_a_longer_body_is_not_read(headers, said, server, tmp_path):
    server.give(answer(200, headers=headers, body=BODY))
    assert said in failure(remote(server, size=1000), tmp_path)
    assert files(tmp_path) == {}
    assert len(server.asked) == 1


def test_a_redirect_to_https_is_followed(server, tmp_path):
    server.give(redirect(remote(server, name="elsewhere").url), whole())
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}


def test_a_redirect_to_http_is_refused(server, tmp_path):
    with Server() as plain:
        plain.give(whole())
        url = f"http://localhost:{plain.server_port}/digits.bin"
        server.give(redirect(url))
        assert f"only https is used, not {url}" in failure(remote(server), tmp_path)
        plain.shutdown()
    assert plain.asked == []
    assert files(tmp_path) == {}


@pytest.mark.parametrize("url", ["ftp://localhost/x", "file:///etc/hosts", "data:,x"])
def test_a_redirect_to_anything_else_is_refused(url, server, tmp_path):
    server.give(redirect(url))
    said = failure(remote(server), tmp_path)
    assert "redirects in vain" in said
    assert url in said
    assert files(tmp_path) == {}


@pytest.mark.parametrize("url", ["http://localhost/x", "ftp://localhost/x", "file:///etc/hosts"])
def test_only_https_is_used(url, tmp_path):
    assert "only https is used" in failure(Remote(url, "0" * 64, 1), tmp_path)


def test_a_circle_of_redirects_ends(server, tmp_path):
    server.give(redirect(remote(server).url))
    assert "infinite loop" in failure(remote(server), tmp_path)
    assert len(server.asked) < 10


def test_a_missing_file_is_not_asked_for_again(server, tmp_path):
    server.give(answer(404, headers={"Content-Length": 0}))
    assert "404 (Not Found)" in failure(remote(server), tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_in_trouble_is_asked_again(status, server, tmp_path):
    server.give(answer(status, headers={"Content-Length": 0}), whole())
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}


def test_a_server_that_stays_in_trouble_is_given_up(server, tmp_path):
    server.give(answer(503, headers={"Content-Length": 0}))
    assert "503 (Service Unavailable)" in failure(remote(server), tmp_path)
    assert len(server.asked) == 4


def test_a_connection_that_closes_without_an_answer_is_tried_again(server, tmp_path):
    server.give(lambda handler: None, whole())
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}


@pytest.mark.slow
@pytest.mark.parametrize("size", [None, 100_000], ids=["before", "within"])
def test_a_server_that_falls_silent_is_left(size, server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_WAITS", ())
    done = threading.Event()

    def silent(handler):
        if size:
            cut(size)(handler)
        done.wait(10)

    server.give(silent)
    # A second, so that a server that other programs keep from a core is not silent.
    assert "nothing for 1 s" in failure(remote(server), tmp_path, timeout=1)
    done.set()
    assert files(tmp_path) == ({"digits.bin.part": BODY[:size]} if size else {})


@pytest.mark.slow
def test_a_server_that_only_drips_is_left(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_WAITS", ())
    done = threading.Event()

    def drip(handler):
        cut(0)(handler)
        for byte in BODY[:100]:
            if done.wait(0.05):
                break
            handler.wfile.write(bytes([byte]))

    server.give(drip)
    assert re.search(r"only \d+ bytes came in \d", failure(remote(server), tmp_path, timeout=1))
    done.set()
    part = files(tmp_path)["digits.bin.part"]
    assert part == BODY[: len(part)]


def test_a_certificate_that_nobody_vouches_for_is_refused(server, tmp_path, monkeypatch):
    server.give(whole())
    monkeypatch.delenv("SSL_CERT_FILE")
    said = failure(remote(server), tmp_path)
    assert "certificate cannot be trusted" in said
    assert "SSL_CERT_FILE" in said
    assert server.asked == []


def test_a_certificate_of_another_host_is_refused(server, tmp_path, monkeypatch):
    server.give(whole())
    found = socket.getaddrinfo("127.0.0.1", server.server_port, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    url = f"https://other.example:{server.server_port}/digits.bin"
    assert "Hostname mismatch" in failure(remote(server, url=url), tmp_path)
    assert server.asked == []


def test_a_proxy_from_the_environment_is_used(server, tmp_path, monkeypatch):
    with Server() as proxy:
        proxy.give(answer(403))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.server_port}")
        assert "Tunnel connection failed: 403" in failure(remote(server), tmp_path)
        proxy.shutdown()
    assert len(proxy.asked) == 1
    assert server.asked == []


# Offline


def test_offline_names_what_to_use_instead(server, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}/train.gz"
        remotes = [remote(server, url=url), remote(server, name="test.gz")]
        with pytest.raises(DownloadError) as caught:
            fetch_all(remotes, tmp_path, instead=INSTEAD)
    said = str(caught.value)
    assert f"could not get train.gz from {url}: no connection (Connection refused); " in said
    assert f"{INSTEAD}, or name the folder" in said
    assert "--data-dir FOLDER (it needs train.gz, test.gz)" in said
    assert len(said.splitlines()) == 1
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, InputError)


def test_without_names_there_is_one_try(server, tmp_path, monkeypatch):
    tries = []

    def unknown(*_, **__):
        tries.append(1)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "no connection (Name or service not known)" in failure(remote(server), tmp_path)
    assert len(tries) == 1


# The disk


def test_a_full_disk_keeps_what_came(server, tmp_path, small_files):
    """The kernel lets no file grow beyond 4,096 bytes."""
    server.give(whole())
    with small_files():
        said = failure(remote(server), tmp_path, SaveError)
    assert "File too large" in said
    assert "--data-dir" in said
    part = (tmp_path / "digits.bin.part").read_bytes()
    assert part == BODY[: len(part)]
    server.give(ranged())
    fetch(remote(server), tmp_path, instead=INSTEAD)
    assert files(tmp_path) == {"digits.bin": BODY}
    assert server.asked == [f"bytes={len(part)}-"]


def test_a_folder_that_cannot_be_made_is_said(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    said = failure(remote(server), tmp_path / "file" / "folder", SaveError)
    assert "Not a directory" in said


# Archives


def zipped(members, path):
    """Write a zip: names are str, or ZipInfo for what str cannot say."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def tarred(members, path, mode="w:gz", **options):
    """Write a tar: names are str, or TarInfo for what str cannot say."""
    with tarfile.open(path, mode, **options) as archive:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if not isinstance(name, tarfile.TarInfo):
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def contents(folder):
    found = files(folder)
    manifest = json.loads(found.pop(".unpacked.json"))
    assert set(manifest) == {"archive", "sha256"}
    return found


GOOD = [("set/", b""), ("set/하나.txt", "하나\n".encode()), ("set/deep/er/2.bin", BODY)]
UNPACKED = dict(GOOD[1:])


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tar.bz2", "w:bz2"), ("a.tar.xz", "w:xz")],
)
def test_a_tar_is_unpacked(name, mode, tmp_path):
    folder = tarfile.TarInfo("set")
    folder.type = tarfile.DIRTYPE
    archive = tarred([(folder, b""), *GOOD[1:]], tmp_path / name, mode)
    assert unpack(archive, tmp_path / "out") == tmp_path / "out"
    assert contents(tmp_path / "out") == UNPACKED


def test_the_headers_of_many_members_are_fine(tmp_path):
    names = [str(number) for number in range(600)]
    assert 512 * len(names) > unpacking._HEADERS
    unpack(tarred([(name, b"") for name in names], tmp_path / "a"), tmp_path / "out")
    assert contents(tmp_path / "out") == dict.fromkeys(names, b"")


def test_a_zip_is_unpacked(tmp_path):
    unpack(zipped(GOOD, tmp_path / "a.zip"), tmp_path / "out")
    assert contents(tmp_path / "out") == UNPACKED


def test_files_and_folders_get_ordinary_modes(tmp_path):
    info = tarfile.TarInfo("program")
    info.mode = 0o6777
    unpack(tarred([(info, b"")], tmp_path / "a.tar.gz"), tmp_path / "out")
    umask = os.umask(0o022)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777 & ~umask
    assert stat.S_IMODE((tmp_path / "out" / "program").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("encoding", ["cp949", "utf-8"])
def test_names_of_korean_zips_and_tars_are_read(encoding, tmp_path):
    raw = "사진/고양이.txt".encode(encoding)
    marks = b"x" * len(raw)
    path = zipped([(marks.decode(), b"cat")], tmp_path / "a.zip")
    path.write_bytes(path.read_bytes().replace(marks, raw))  # as Windows and macOS write them
    unpack(path, tmp_path / "out")
    assert contents(tmp_path / "out") == {"사진/고양이.txt": b"cat"}

    tar = tarred(
        [("사진/고양이.txt", b"cat")],
        tmp_path / "a.tar.gz",
        format=tarfile.GNU_FORMAT,
        encoding=encoding,
    )
    unpack(tar, tmp_path / "tar")
    assert contents(tmp_path / "tar") == {"사진/고양이.txt": b"cat"}


def test_names_become_nfc(tmp_path):
    name = unicodedata.normalize("NFD", "고양이.txt")
    unpack(zipped([(name, b"cat")], tmp_path / "a.zip"), tmp_path / "out")
    assert contents(tmp_path / "out") == {"고양이.txt": b"cat"}


def test_what_is_unpacked_is_used_as_it_is(tmp_path):
    archive = zipped(GOOD, tmp_path / "a.zip")
    folder = unpack(archive, tmp_path / "out")
    (folder / "mine.txt").write_bytes(b"mine")
    unpack(archive, folder)
    assert contents(folder) == UNPACKED | {"mine.txt": b"mine"}


@pytest.mark.parametrize("manifest", [None, b"", b"[]", b'{"sha256": "0"}'])
def test_a_folder_of_something_else_is_not_touched(manifest, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    if manifest is not None:
        (folder / ".unpacked.json").write_bytes(manifest)
    before = files(folder)
    with pytest.raises(DataError, match="move it away"):
        unpack(zipped(GOOD, tmp_path / "a.zip"), folder)
    assert files(folder) == before


def test_what_a_killed_process_left_is_cleared(tmp_path):
    (tmp_path / ".unpacking-out" / "half").mkdir(parents=True)
    unpack(zipped(GOOD, tmp_path / "a.zip"), tmp_path / "out")
    assert contents(tmp_path / "out") == UNPACKED
    assert not (tmp_path / ".unpacking-out").exists()


def test_an_archive_is_fetched_and_unpacked_once(server, tmp_path):
    body = tarred(GOOD[1:], tmp_path / "made.tar.gz").read_bytes()
    server.give(whole(body))
    wanted = remote(server, body, "set-1.0.tar.gz")
    folder = fetch_unpacked(wanted, tmp_path / "data", instead=INSTEAD)
    assert folder == tmp_path / "data" / "set-1.0"
    assert contents(folder) == UNPACKED
    (tmp_path / "data" / "set-1.0.tar.gz").unlink()
    assert fetch_unpacked(wanted, tmp_path / "data", instead=INSTEAD) == folder
    assert len(server.asked) == 1


def zip_info(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def tar_info(name, kind, target="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


OUTWARD = [
    "../evil",
    "../../evil",
    "a/../../evil",
    "a/..",
    "{folder}/evil",
    "//server/share/evil",
    "..\\evil",
    "C:\\evil",
    "C:evil",
    "a/.. /.. /evil",
    "a/" * 40 + "evil",
]
GOOD_FIRST = ("good.txt", b"good")


def refused(archive, tmp_path, match):
    """Unpack what must be refused: nothing is written outside, and nothing is left inside."""
    before = files(tmp_path)
    with pytest.raises(DataError, match=match) as caught:
        unpack(archive, tmp_path / "in" / "out")
    assert str(archive) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert files(tmp_path) == before
    assert [path.name for path in (tmp_path / "in").iterdir()] == [".out.lock"]


@pytest.mark.parametrize("write", [zipped, tarred])
@pytest.mark.parametrize("name", OUTWARD)
def test_names_that_lead_out_are_refused(name, write, tmp_path):
    archive = write([GOOD_FIRST, (name.format(folder=tmp_path), b"evil")], tmp_path / "a")
    refused(archive, tmp_path, "could lead out|more than 32 parts")


@pytest.mark.parametrize(
    "names",
    [("a", "a"), ("a", "./a"), ("a", "a/b"), ("a/b", "a"), ("é", "e\N{COMBINING ACUTE ACCENT}")],
)
@pytest.mark.parametrize("write", [zipped, tarred])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_taken_is_refused(names, write, tmp_path):
    archive = write([(name, b"data") for name in names], tmp_path / "a")
    refused(archive, tmp_path, "taken by another member")


@pytest.mark.parametrize(
    "info",
    [
        tar_info("link", tarfile.SYMTYPE, "/etc"),
        tar_info("link", tarfile.SYMTYPE, "good.txt"),
        tar_info("link", tarfile.LNKTYPE, "good.txt"),
        tar_info("link", tarfile.LNKTYPE, "../../evil"),
        tar_info("pipe", tarfile.FIFOTYPE),
        tar_info("null", tarfile.CHRTYPE),
        tar_info("disk", tarfile.BLKTYPE),
        tar_info("what", b"Z"),
    ],
    ids=lambda info: f"{info.name} {info.type}",
)
def test_links_and_devices_in_tars_are_refused(info, tmp_path):
    archive = tarred([GOOD_FIRST, (info, b""), ("link/evil", b"evil")], tmp_path / "a")
    refused(archive, tmp_path, "link or a device")


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_in_zips_are_refused(mode, tmp_path):
    members = [GOOD_FIRST, (zip_info("link", mode), "/etc"), ("link/evil", b"evil")]
    refused(zipped(members, tmp_path / "a"), tmp_path, "link or a device")


def test_a_zip_of_a_gigabyte_of_zeros_is_refused_unread(tmp_path, monkeypatch):
    # A gigabyte is one megabyte of zeros a thousand times over, in deflate too.
    path = tmp_path / "a.zip"
    packed = zlib_zeros(1 << 20, times=1 << 10)
    forge_zip(path, packed, declared=1 << 30)
    assert path.stat().st_size < 2 << 20
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was read"))
    refused(path, tmp_path, "unpacks to more than")


def zlib_zeros(size, times):
    """Deflate `times * size` zeros; each piece ends at a byte, so pieces can be repeated."""
    piece = zlib.compressobj(9, zlib.DEFLATED, -15)
    repeated = piece.compress(bytes(size)) + piece.flush(zlib.Z_FULL_FLUSH)
    return repeated * times + piece.flush()


def forge_zip(path, packed, declared):
    """Write a zip of one member whose headers declare any size."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("zeros", packed)
        info = archive.infolist()[0]
        info.compress_type, info.file_size = zipfile.ZIP_DEFLATED, declared
    data = bytearray(path.read_bytes())
    data[8:10] = (8).to_bytes(2, "little")
    data[22:26] = declared.to_bytes(4, "little")
    path.write_bytes(data)


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    forge_zip(path, zlib_zeros(1 << 20, times=200), declared=1000)
    refused(path, tmp_path, "Bad CRC-32")


def test_a_tar_of_zeros_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "_SMALL", 1 << 20)
    archive = tarred([GOOD_FIRST, ("zeros", bytes(2 << 20))], tmp_path / "a")
    refused(archive, tmp_path, "unpacks to more than 1,048,576 bytes")


def test_many_small_members_are_counted_together(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "_SMALL", 10_000)
    monkeypatch.setattr(unpacking, "_RATIO", 1)
    members = [(str(number), bytes(3000)) for number in range(4)]
    unpack(zipped(members[:3], tmp_path / "three"), tmp_path / "out")
    refused(zipped(members, tmp_path / "four"), tmp_path, "unpacks to more than")


def test_what_compresses_well_but_is_small_is_fine(tmp_path):
    archive = zipped([("zeros", bytes(1 << 20))], tmp_path / "a")
    assert archive.stat().st_size < (1 << 20) / 500
    unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == {"zeros": bytes(1 << 20)}


def test_a_sparse_tar_is_counted_by_what_it_writes(tmp_path):
    # GNU sparse 1.0: a gigabyte, of which the archive holds nothing but its map.
    info = tarfile.TarInfo("zeros")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "zeros",
        "GNU.sparse.realsize": str(1 << 30),
    }
    spans = b"1\n1073741824\n0\n".ljust(512, b"\0")
    info.size = len(spans)
    refused(tarred([(info, spans)], tmp_path / "a"), tmp_path, "unpacks to more than")


def test_a_member_larger_than_it_says_is_refused(tmp_path, monkeypatch):
    def lying(file):
        yield unpacking._Member("zeros", False, 10, lambda: io.BytesIO(bytes(11)))

    monkeypatch.setattr(unpacking, "_members", lying)
    refused(zipped(GOOD, tmp_path / "a"), tmp_path, "larger than its header says")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "_MOST_MEMBERS", 3)
    members = [(str(number), b"") for number in range(4)]
    unpack(zipped(members[:3], tmp_path / "three"), tmp_path / "out")
    refused(zipped(members, tmp_path / "four"), tmp_path, "more than 3 members")


def test_headers_that_never_end_are_refused(tmp_path):
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "x" * (1 << 20)}
    refused(tarred([(info, b"")], tmp_path / "a"), tmp_path, "outside of its members")


def test_data_after_the_end_is_bounded(tmp_path):
    tar = tarred([GOOD_FIRST], tmp_path / "plain", "w").read_bytes()
    archive = tmp_path / "a"
    archive.write_bytes(gzip.compress(tar + bytes(1 << 20)))
    refused(archive, tmp_path, "outside of its members")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zips_of_rare_methods_are_refused(method, tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w", method) as archive:
        archive.writestr("zeros", bytes(1000))
    refused(tmp_path / "a", tmp_path, "not compressed by deflate")


@pytest.mark.parametrize("kind", ["zip", "tar", "gz", "bz2", "xz"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_archives_are_refused(kind, damage, tmp_path):
    members = [("noise", BODY[:40_000])]
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        zipped(members, path)
    else:
        tarred(members, path, "w" if kind == "tar" else f"w:{kind}")
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[0 if kind == "tar" else len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    refused(path, tmp_path, "cannot be read as zip or tar")


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"PK", BODY[:2000]])
def test_what_is_no_archive_is_refused(data, tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    refused(path, tmp_path, "cannot be read as zip or tar")


def test_a_zip_whose_parts_lie_outside_of_it_is_refused(tmp_path):
    data = bytearray(zipped([GOOD_FIRST], tmp_path / "a.zip").read_bytes())
    data[-10:-6] = (1 << 20).to_bytes(4, "little")  # the size of the central directory
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip", tmp_path, "cannot be read as zip or tar")


def test_an_archive_that_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match=r"a\.zip is missing"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_full_disk_leaves_nothing_unpacked(tmp_path, small_files):
    archive = zipped([("large.bin", BODY)], tmp_path / "a.zip")
    with small_files(), pytest.raises(SaveError, match=r"File too large; nothing is left"):
        unpack(archive, tmp_path / "out")
    assert list(files(tmp_path)) == ["a.zip"]


def test_a_stopped_unpacking_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    archive = zipped(GOOD, tmp_path / "a.zip")
    monkeypatch.setattr(unpacking, "write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out")
    assert list(files(tmp_path)) == ["a.zip"]


def test_without_an_option_for_the_folder_the_error_names_the_folder(tmp_path):
    remote = Remote("http://127.0.0.1:1/weights.pth", "0" * 64, 10)
    with pytest.raises(DownloadError) as raised:
        fetch(remote, tmp_path, instead="give a file", timeout=1, named=False)
    said = str(raised.value)
    assert said.endswith(f"give a file, or put the file into {tmp_path}")
