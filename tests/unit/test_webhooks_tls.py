"""Web hooks to a receiver with a certificate of an authority of one's own."""

import asyncio
import shutil
import ssl
from datetime import UTC, datetime

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from engine.webhooks.addresses import networks
from engine.webhooks.resolve import Guard
from engine.webhooks.sender import Sender
from engine.webhooks.signing import new_secret

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")

LOOPBACK = networks(["127.0.0.0/8"])
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


async def openssl(*words):
    process = await asyncio.create_subprocess_exec(
        "openssl", *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def certificates(folder, host):
    """(the authority's certificate, the server's, its key)"""
    ca, ca_key, request, key, made = (folder / name for name in ("ca.pem", "ca.key", "a.csr", "a.key", "a.pem"))
    extensions = folder / "extensions"
    extensions.write_text(f"subjectAltName=DNS:{host}\n")
    await openssl("req", "-x509", *KEY, "-keyout", ca_key, "-out", ca, "-days", 2, "-subj", "/CN=Test authority")
    await openssl("req", *KEY, "-keyout", key, "-out", request, "-subj", f"/CN={host}")
    await openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", made,
                  "-days", 2, "-extfile", extensions)  # fmt: skip
    return ca, made, key


async def loopback(_host, _port):
    return ["127.0.0.1"]


async def test_a_receiver_of_ones_own_authority_is_trusted_by_configuration(tmp_path):
    ca, certificate, key = await certificates(tmp_path, "hooks.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    secret, got = new_secret(), []

    async def take(request):
        got.append(Webhook(secret).verify(await request.read(), dict(request.headers)))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    try:
        async with (
            Sender(Guard(LOOPBACK, loopback), ca=ca) as trusting,
            Sender(Guard(LOOPBACK, loopback)) as system,
        ):
            body, headers = _signed(secret)
            assert (await trusting.post(f"https://hooks.example:{port}/", body, headers)).error is None
            assert (await trusting.post(f"https://other.example:{port}/", body, headers)).error == "TLS failed"
            assert (await system.post(f"https://hooks.example:{port}/", body, headers)).error == "TLS failed"
    finally:
        await runner.cleanup()
    assert got == [{"type": "webhook.test", "data": {"sequence": 1}}]


def _signed(secret):
    body, now = b'{"type":"webhook.test","data":{"sequence":1}}', datetime.now(UTC)
    signature = Webhook(secret).sign("msg_1", now, body.decode())
    return body, {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
