"""The proxy that README shows, in front of a server: its own words, but for port and certificate."""

import contextlib
import pathlib
import re
import socket
import subprocess
import time

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
# What README's configuration is part of, all in one folder.
AROUND = """
daemon off;
pid nginx.pid;
error_log error.log;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
SITE
}
"""


def shown():
    """The configuration, the command and the name of the host that README shows."""
    text = README.read_text(encoding="utf-8")
    site = re.search(r"```nginx\n(.*?)```", text, re.DOTALL).group(1)
    settings = re.search(r"nginx with `serve --http 127\.0\.0\.1:8737 ([^`]*)`", text).group(1).split()
    return site, settings, re.search(r"server_name (.*);", site).group(1)


def replaced(site, old, new):
    assert old in site, f"README's proxy has no {old!r}"
    return site.replace(old, new)


@contextlib.contextmanager
def proxy(nginx, folder, server):
    """nginx in front of the server; yields its address and the file of its certificate."""
    site, _settings, host = shown()
    folder = pathlib.Path(folder)
    folder.mkdir()
    pem, key = folder / "site.pem", folder / "site.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}", "-addext",
                    "subjectAltName=DNS:localhost", "-out", pem, "-keyout", key], check=True, stderr=subprocess.DEVNULL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site = replaced(site, "listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    site = replaced(site, f"/etc/ssl/{host}.pem", str(pem))
    site = replaced(site, f"/etc/ssl/{host}.key", str(key))
    site = replaced(site, "http://127.0.0.1:8737", server)
    (folder / "nginx.conf").write_text(AROUND.replace("SITE", site), encoding="utf-8")
    with subprocess.Popen([nginx, "-p", folder, "-e", "error.log", "-c", "nginx.conf"]) as process:
        try:
            wait_for(port)
            yield f"https://localhost:{port}", pem
        finally:
            process.terminate()


def wait_for(port):
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError("nginx does not listen")
