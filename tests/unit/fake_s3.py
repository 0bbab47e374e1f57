"""As much of S3 as a client of objects needs, in memory; with faults to switch on."""

import hashlib
import re
from email.utils import formatdate
from xml.sax.saxutils import escape

from aiohttp import web

STAMP = 1_772_366_400.0


class FakeS3:
    def __init__(self):
        self.objects = {}
        self.uploads = {}
        self.broken = False
        self.asked = []

    def app(self):
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{bucket}/{key:.*}", self.serve)
        app.router.add_route("*", "/{bucket}", self.serve)
        return app

    async def serve(self, request):
        self.asked.append((request.method, request.path_qs))
        if self.broken:
            return web.Response(status=503)
        if "Credential=" not in request.headers.get("Authorization", ""):
            return web.Response(status=403)
        return await getattr(self, f"on_{request.method.lower()}")(request, request.match_info.get("key", ""))

    async def on_put(self, request, key):
        body = await request.read()
        if upload := request.query.get("uploadId"):
            self.uploads[upload][int(request.query["partNumber"])] = body
        else:
            self.objects[key] = body
        return web.Response(headers={"ETag": _etag(body)})

    async def on_post(self, request, key):
        if "delete" in request.query:
            keys = re.findall("<Key>([^<]*)</Key>", await request.text())
            gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys if self.objects.pop(key, b"") or True)
            return _xml(f"<DeleteResult>{gone}</DeleteResult>")
        upload = request.query.get("uploadId")
        if upload is None:
            upload = f"u{len(self.uploads)}"
            self.uploads[upload] = {}
            return _xml(f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")
        parts = self.uploads.pop(upload)
        self.objects[key] = b"".join(parts[number] for number in sorted(parts))
        return _xml(f"<CompleteMultipartUploadResult><ETag>{_etag(b'')}</ETag></CompleteMultipartUploadResult>")

    async def on_get(self, request, key):
        if not key:
            return self._listed(request.query.get("prefix", ""))
        if key not in self.objects:
            return web.Response(status=404)
        body = self.objects[key]
        return web.Response(body=body, headers=_headers(body))

    async def on_head(self, request, key):
        if key not in self.objects:
            return web.Response(status=404)
        body = self.objects[key]
        return web.Response(headers={**_headers(body), "Content-Length": str(len(body))})

    async def on_delete(self, request, key):
        if upload := request.query.get("uploadId"):
            self.uploads.pop(upload, None)
        else:
            self.objects.pop(key, None)
        return web.Response(status=204)

    def _listed(self, prefix):
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size><ETag>{escape(_etag(body))}</ETag>"
            "<LastModified>2026-03-01T12:00:00.000Z</LastModified></Contents>"
            for key, body in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return _xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>")


def _headers(body):
    return {"ETag": _etag(body), "Last-Modified": formatdate(STAMP, usegmt=True)}


def _etag(body):
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _xml(body):
    return web.Response(text=f'<?xml version="1.0"?>{body}', content_type="application/xml")
