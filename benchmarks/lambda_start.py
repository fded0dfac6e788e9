"""The cold start of start_pipeline, up to its first S3 event being handled, beside a process that makes a client.

    python benchmarks/lambda_start.py [--pairs 30]

Pairs of processes take turns, so that a busy machine slows both. S3 and SQS are a stub on loopback that answers at
once. `client` is `boto3.client("s3")` and nothing else: what any function that talks to AWS has to pay.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUCKET = "data-bucket"
RECORD = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": "datasets/a/1.jpg"}}}
EVENT = {"Records": [{"messageId": "m", "receiptHandle": "r", "body": json.dumps({"Records": [RECORD]})}]}

CLIENT = 'import boto3; boto3.client("s3")'
HANDLER = f"""
import json, sys
sys.path[:0] = [{str(ROOT / "lambda")!r}, {str(ROOT)!r}]
from start_pipeline.handler import handle

class Context:
    aws_request_id = "r"
    def get_remaining_time_in_millis(self): return 120_000

assert handle(json.loads({json.dumps(EVENT)!r}), Context()) == {{"batchItemFailures": []}}
"""


class Stub(BaseHTTPRequestHandler):
    """No marker is there, every write is taken, every message is queued."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
        self.answer(404, body, {"Content-Type": "application/xml"})

    def do_PUT(self) -> None:
        self.answer(200, b"", {"ETag": '"0"'})

    def do_POST(self) -> None:
        body = json.dumps({"MessageId": "m"}).encode()
        self.answer(200, body, {"Content-Type": "application/x-amz-json-1.0"})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def variables(endpoint: str) -> dict[str, str]:
    queue = f"{endpoint}/111122223333/uploads"
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "DATA_BUCKET": BUCKET,
        "PIPELINE_NAME": "headrace",
        "PIPELINE_ROLE_ARN": "arn:aws:iam::111122223333:role/pipeline",
        "QUEUE_URL": queue,
        "DEAD_LETTER_QUEUE_URL": queue,
        "NOTICES_QUEUE_URL": queue,
        "QUIET_SECONDS": "60",
        "BINDINGS": "{}",
    }


def seconds(code: str, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def package() -> tuple[int, int]:
    """Files and bytes of lambda/ as a zip archive, as CDK uploads it."""
    file, files = io.BytesIO(), sorted((ROOT / "lambda").rglob("*.py"))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(ROOT / "lambda"))
    return len(files), len(file.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=30, help="measured pairs of processes (%(default)s)")
    pairs = parser.parse_args().pairs
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = variables(f"http://127.0.0.1:{server.server_port}")
    times: dict[str, list[float]] = {CLIENT: [], HANDLER: []}
    for number in range(pairs + 1):
        for code in (CLIENT, HANDLER) if number % 2 else (HANDLER, CLIENT):
            measured = seconds(code, environment)
            if number:  # the first pair compiles
                times[code].append(measured)
    client, handler = (statistics.median(values) for values in times.values())
    ratio = statistics.median(ours / theirs for theirs, ours in zip(*times.values(), strict=True))
    files, size = package()
    print(f"client   {client * 1000:6.0f} ms  median of {pairs}")
    print(f"handler  {handler * 1000:6.0f} ms  with the first S3 event handled")
    print(f"ratio    {ratio:6.2f}     median of the pairs")
    print(f"package  {size / 1000:6.1f} kB  lambda/, {files} files, zipped")


if __name__ == "__main__":
    main()
