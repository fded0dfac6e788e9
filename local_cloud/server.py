"""The server process: ministack's gateway over TLS on loopback, with IAM enforced and SageMaker plugged in.

    python -m local_cloud.server STATE PORT

Started by `local_cloud.process`, with a bare environment. Ends on SIGTERM: jobs and endpoints first, then the state of
every service is saved.
"""

import asyncio
import logging
import os
import signal
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

from local_cloud import root_key
from local_cloud.certificate import certificate
from local_cloud.process import AWKWARD, PIP_SETTINGS
from local_cloud.sagemaker.core.cloud import Cloud, Gateway
from local_cloud.state_directory import hold_lock

_HOST = "127.0.0.1"


def main(state: Path, port: int) -> None:
    os.umask(0o077)  # also of functions, jobs and endpoints
    hold_lock(state, port)
    certificate_path, key_path = certificate(state / "tls")
    # ministack reads these when it is imported; what each does is in its own documentation.
    os.environ.update(
        {
            "AUTH": "true",
            "USE_SSL": "1",
            "BIND_HOST": _HOST,
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "localhost",
            "MINISTACK_SSL_CERT": str(certificate_path),
            "MINISTACK_SSL_KEY": str(key_path),
            "IOT_MTLS_ENABLED": "0",  # it would listen on every interface
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state / "aws"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state / "s3"),
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        }
    )
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk, is not worth a traceback in it
    logging.getLogger("local_cloud").setLevel(logging.INFO)
    logging.getLogger("asyncio").addFilter(_drop_tls_timeouts)
    # They may hold a password, and functions inherit the variables of this process.
    pip = {name: os.environ.pop(name) for name in PIP_SETTINGS if name in os.environ}
    asyncio.run(_serve(state, port, certificate_path, key_path, pip))


def _drop_tls_timeouts(record: logging.LogRecord) -> bool:
    """Drops the report of a TLS client that left without closing: asyncio writes it after 30 s, with a traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], TimeoutError))


def _report(task: asyncio.Task[None]) -> None:
    """A task never ends by itself: if one does, the log says why."""
    if not task.cancelled():
        logging.getLogger("local_cloud").error("a task of the local cloud ended", exc_info=task.exception())


async def _serve(state: Path, port: int, certificate_path: Path, key_path: Path, pip: dict[str, str]) -> None:
    from hypercorn.asyncio.run import worker_serve
    from hypercorn.config import Config
    from hypercorn.utils import wrap_app
    from ministack.app import app

    from local_cloud import ministack
    from local_cloud.door import Door, connections
    from local_cloud.sagemaker import api
    from local_cloud.sagemaker.awkward import AwkwardCloud
    from local_cloud.sagemaker.containers.launcher import ProcessLauncher

    secret_key = cache(partial(root_key.secret_key, state))
    cloud = ministack.MinistackCloud(Gateway(f"https://localhost:{port}", str(certificate_path)), secret_key)
    seen: Cloud = AwkwardCloud(cloud) if os.environ.get(AWKWARD) == "1" else cloud
    launcher = ProcessLauncher(private=_private_folders(state))
    service = api.assemble(seen, state / "sagemaker", launcher, pip=pip)
    ministack.install(service, state, secret_key)

    config = Config()
    config.certfile, config.keyfile = str(certificate_path), str(key_path)
    config.loglevel = "WARNING"
    door = Door(app, ministack.find_key(secret_key), ministack.expects_response)
    sockets = connections.listen(config, _HOST, port)

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    served: Any = door
    served = wrap_app(served, config.wsgi_max_body_size, mode="asgi")
    forever = asyncio.Event().wait
    serving = asyncio.create_task(worker_serve(served, config, sockets=sockets, shutdown_trigger=forever))
    await _until_open(port, serving)
    background_tasks = [
        asyncio.create_task(task)
        for task in (ministack.save_regularly(), ministack.watch_queues(), ministack.enact_regularly())
    ]
    for task in background_tasks:
        task.add_done_callback(_report)
    ministack.fail_interrupted_stacks()
    await asyncio.to_thread(service.start)
    (state / "ready").write_text(str(os.getpid()))

    ended = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()  # raises what ended it
    for task in background_tasks:
        task.cancel()
    await asyncio.to_thread(service.stop)
    ministack.save()
    await asyncio.to_thread(ministack.end_functions)
    logging.shutdown()
    # All is saved. An orderly end would wait, up to 30 s each, for TLS clients that merely keep a connection open.
    os._exit(0)


def _private_folders(state: Path) -> list[Path]:
    """What jobs have no business with, beside the user's home: the state, and the project if this runs in one."""
    project = Path(__file__).parents[1]
    return [state, *([project] if (project / "pyproject.toml").exists() else [])]


async def _until_open(port: int, serving: asyncio.Task[None]) -> None:
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(_HOST, port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
