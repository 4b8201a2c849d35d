"""A real S3 on this machine: moto's, with an eye on the uploads."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BUCKET = "some-bucket"


class S3Server:
    """Its objects, and what happens to uploads."""

    def __init__(self) -> None:
        # Imported here, because only a few tests need it and it takes a second.
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self._moto = DomainDispatcherApplication(create_backend_app)
        self.on_upload: Callable[[str], bool] = lambda _: True
        """Is asked for each key whether its upload may go on."""
        self.lost_answers = 0
        """How many of the next uploads are stored and answered with an error, as if a proxy had
        lost the answer."""
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        key = environ["PATH_INFO"].removeprefix(f"/{BUCKET}/")
        upload = environ["REQUEST_METHOD"] == "PUT" and key != environ["PATH_INFO"]
        if upload and not self.on_upload(key):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code><Message>not yours</Message></Error>"]
        if upload and self.lost_answers:
            self.lost_answers -= 1
            list(self._moto(environ, lambda *_: None))
            start_response("502 Bad Gateway", [])
            return []
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    @contextmanager
    def running(self) -> Iterator["S3Server"]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def client(self) -> Any:
        import boto3

        return boto3.client("s3", endpoint_url=self.url)

    def objects(self) -> dict[str, bytes]:
        client = self.client()
        found = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        keys = [each["Key"] for each in found]
        return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}

    def empty(self) -> None:
        """Start over, with an empty bucket."""
        self.on_upload = lambda _: True
        self.lost_answers = 0
        client = self.client()
        if BUCKET in (each["Name"] for each in client.list_buckets()["Buckets"]):
            for key in self.objects():
                client.delete_object(Bucket=BUCKET, Key=key)
        else:
            client.create_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    with S3Server().running() as running:
        yield running


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An S3 with one empty bucket, to which the AWS SDK of this process is directed."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ACCESS_KEY_ID": "some",
        "AWS_SECRET_ACCESS_KEY": "thing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    s3_server.empty()
    return s3_server
