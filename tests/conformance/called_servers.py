# SPDX-License-Identifier: Apache-2.0
"""Servers that the platform calls: functions by Lambda's Invoke, and an OpenID Connect issuer; over HTTP or TLS."""
import base64
import http.server
import json
import re
import ssl
import subprocess
import threading

from tls_device import openssl


class FunctionError(Exception):
    """What a function ends in when it fails."""


class CalledServer:
    """An HTTP server on a free port that answers with `reply(method, path, body)` -> (status, headers, text)."""

    def __init__(self, reply, certificate=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, text = reply(self.command, self.path, body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)
            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = f"https://localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Functions(CalledServer):
    """functions["name"] = callable(event) -> answer; every event is kept in `events`."""

    def __init__(self, certificate=None):
        self.functions, self.events = {}, []
        super().__init__(self._invoke, certificate)

    def __setitem__(self, name, function):
        self.functions[name] = function

    def _invoke(self, method, path, body):
        match = re.fullmatch(r"/2015-03-31/functions/([\w-]+)/invocations(\?Qualifier=.+)?", path)
        if method != "POST" or not match or match[1] not in self.functions:
            return 404, {}, b"{}"
        event = json.loads(body)
        self.events.append(event)
        try:
            answer = self.functions[match[1]](event)
        except FunctionError as error:
            return 200, {"X-Amz-Function-Error": "Unhandled"}, json.dumps({"errorMessage": str(error)}).encode()
        return 200, {}, answer if isinstance(answer, bytes) else json.dumps(answer).encode()


class SigningKey:
    """An RSA key that signs tokens as custom authorisers and OpenID Connect know them."""

    def __init__(self, folder, name, bits=2048):
        self.file = folder / f"{name}.key"
        openssl("genrsa", "-out", str(self.file), str(bits))
        self.public_pem = openssl("rsa", "-in", str(self.file), "-pubout")

    def sign(self, data, *options):
        return subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.file), *options], input=data, check=True,
                              capture_output=True).stdout

    def token_signature(self, token):
        return base64.b64encode(self.sign(token.encode())).decode()

    def jwk(self, kid):
        modulus = openssl("rsa", "-in", str(self.file), "-noout", "-modulus").strip().partition("=")[2]
        return {"kty": "RSA", "use": "sig", "kid": kid, "n": url64(bytes.fromhex(modulus)), "e": "AQAB"}

    def jwt(self, claims, kid, algorithm="RS256", signature=None):
        text = ".".join(url64(json.dumps(part).encode()) for part in ({"alg": algorithm, "kid": kid}, claims))
        options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"] if algorithm == "PS256" else []
        return text + "." + url64(self.sign(text.encode(), *options) if signature is None else signature)


class Issuer(CalledServer):
    """An OpenID Connect issuer over TLS. `keys` are what its key set has now; `calls` counts by path."""

    def __init__(self, certificate):
        self.keys, self.calls, self.broken = [], {}, False
        super().__init__(self._reply, certificate)
        self.host = self.url.removeprefix("https://")

    def _reply(self, _method, path, _body):
        self.calls[path] = self.calls.get(path, 0) + 1
        if self.broken:
            return 500, {}, b"{}"
        documents = {"/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
                     "/keys": {"keys": self.keys}}
        if path not in documents:
            return 404, {}, b"{}"
        return 200, {"Content-Type": "application/json"}, json.dumps(documents[path]).encode()


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def authority(folder):
    """(CA file, (certificate file, key file) of localhost that it signed)."""
    ca, ca_key, request = folder / "ca.pem", folder / "ca.key", folder / "server.csr"
    certificate, key, extensions = folder / "server.pem", folder / "server.key", folder / "server.ext"
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *new, "-days", "30", "-subj", "/CN=Test Authority", "-keyout", str(ca_key), "-out", str(ca))
    openssl("req", *new, "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(request))
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey", str(ca_key), "-CAcreateserial", "-days", "30",
            "-extfile", str(extensions), "-out", str(certificate))
    return ca, (certificate, key)
