"""A stand-in for the Hugging Face Hub on this machine: the requests of huggingface_hub that push and fetch make.

Repositories are made, cards are checked, files of weights go through Git LFS and others into the commit, every commit
is a revision, and who has no token is told that a private one does not exist. Xet, the faster way for weights, is off.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = 'hf_of_this_test'
LARGE = ('.pth', '.onnx', '.safetensors')


class Repository:
    def __init__(self, private: bool) -> None:
        self.private = private
        self.commits: dict[str, dict[str, bytes]] = {}  # hash → files
        self.tags: dict[str, str] = {}

    def commit(self, files: dict[str, bytes]) -> str:
        name = hashlib.sha1(repr(sorted(files)).encode() + bytes([len(self.commits)])).hexdigest()
        self.commits[name] = files
        self.tags['main'] = name
        return name


class Hub(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.endpoint = f'http://127.0.0.1:{self.server_port}'
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}  # of Git LFS, by their SHA-256
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args) -> None:
        pass

    def answer(self, status: int, data: object = None, content: bytes | None = None, **headers: str) -> None:
        body = json.dumps(data).encode() if content is None else content
        self.send_response(status)
        for key, value in {'Content-Length': str(len(body)), **headers}.items():
            self.send_header(key.replace('_', '-'), value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def fail(self, status: int, code: str) -> None:
        self.answer(status, dict(error=code), X_Error_Code=code)

    @property
    def may_write(self) -> bool:
        return self.headers.get('Authorization') == f'Bearer {TOKEN}'

    def handle_any(self) -> None:
        self.body = self.received()
        path = [unquote(part) for part in urlsplit(self.path).path.strip('/').split('/')]
        self.server.asked.append(f'{self.command} {"/".join(path)}')
        if self.command in ('GET', 'HEAD'):
            return self.read(path)
        if not self.may_write and path[0] != 'objects':  # whose address is a secret of its own
            return self.fail(401, 'Unauthorized')
        return self.write(path)

    def received(self) -> bytes:
        if self.headers.get('Transfer-Encoding') != 'chunked':
            return self.rfile.read(int(self.headers.get('Content-Length') or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b''.join(parts)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def write(self, path: list[str]) -> None:
        if path[0] == 'objects':
            assert hashlib.sha256(self.body).hexdigest() == path[1]
            self.server.objects[path[1]] = self.body
            return self.answer(200, {})
        if path == ['api', 'repos', 'create']:
            asked = json.loads(self.body)
            name = f'{asked["organization"]}/{asked["name"]}'
            new = name not in self.server.repositories
            private = asked.get('visibility') == 'private' or asked.get('private') is True
            self.server.repositories.setdefault(name, Repository(private))
            return self.answer(200 if new else 409, dict(url=f'{self.server.endpoint}/{name}'))
        if path == ['api', 'validate-yaml']:
            head = yaml.safe_load(json.loads(self.body)['content'].split('---\n')[1])
            return self.answer(200 if isinstance(head, dict) else 400, dict(errors=[], warnings=[]))
        if path[-2:] == ['objects', 'batch']:
            return self.answer(200, dict(transfer='basic', objects=list(self.uploads(json.loads(self.body)))))
        kind, name = path[4], '/'.join(path[2:4])
        if kind == 'preupload':
            files = [file['path'] for file in json.loads(self.body)['files']]
            modes = [dict(path=f, uploadMode='lfs' if f.endswith(LARGE) else 'regular') for f in files]
            return self.answer(200, dict(files=[dict(mode, shouldIgnore=False) for mode in modes]))
        assert kind == 'commit'
        rows = [json.loads(row) for row in self.body.splitlines()]
        commit = self.server.repositories[name].commit(dict(self.files(rows)))
        return self.answer(200, dict(commitUrl=f'{self.server.endpoint}/{name}/commit/{commit}', commitOid=commit))

    def uploads(self, asked: dict) -> Iterator[dict]:
        for item in asked['objects']:
            yield dict(item, actions=dict(upload=dict(href=f'{self.server.endpoint}/objects/{item["oid"]}')))

    def files(self, rows: list[dict]) -> Iterator[tuple[str, bytes]]:
        for row in rows:
            value = row['value']
            if row['key'] == 'file':
                yield value['path'], base64.b64decode(value['content'])
            elif row['key'] == 'lfsFile':
                yield value['path'], self.server.objects[value['oid']]

    def read(self, path: list[str]) -> None:
        api = path[:2] == ['api', 'models']
        name = '/'.join(path[2:4] if api else path[:2])
        repository = self.server.repositories.get(name)
        if repository is None or (repository.private and not self.may_write):
            return self.fail(401, 'RepoNotFound')
        what, revision, *file = (path[4:] if api else path[2:]) or ['revision', 'main']
        commit = repository.tags.get(revision, revision)
        if commit not in repository.commits:
            return self.fail(404, 'RevisionNotFound')
        files = repository.commits[commit]
        if what == 'revision':
            rows = [dict(rfilename=file) for file in files]
            return self.answer(200, dict(id=name, sha=commit, private=repository.private, siblings=rows))
        if what == 'tree':
            return self.answer(200, [entry(path, content) for path, content in files.items()])
        content = files.get('/'.join(file))
        if content is None:
            return self.fail(404, 'EntryNotFound')
        etag = hashlib.sha256(content).hexdigest()
        return self.answer(200, content=content, X_Repo_Commit=commit, ETag=f'"{etag}"')


def entry(path: str, content: bytes) -> dict:
    blob = hashlib.sha1(b'blob %d\0' % len(content) + content).hexdigest()
    large = dict(oid=hashlib.sha256(content).hexdigest(), size=len(content), pointerSize=134)
    return dict(
        type='file', path=path, size=len(content), oid=blob, **(dict(lfs=large) if path.endswith(LARGE) else {})
    )


@contextmanager
def serving() -> Iterator[Hub]:
    with Hub() as hub:
        hub.daemon_threads = True
        thread = threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
