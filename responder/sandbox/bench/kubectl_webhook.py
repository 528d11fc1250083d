"""What many would write first: a webhook that runs kubectl. The bench's other contestant, not a part of us.

Run by the bench: python -m responder.sandbox.bench.kubectl_webhook PORT KUBECTL.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web


def webhook_app(kubectl: str) -> web.Application:
    """POST /?namespace=N&deployment=D runs `kubectl rollout undo` and answers when it is over."""

    async def post(request: web.Request) -> web.Response:
        await request.json()
        deployment, namespace = request.query["deployment"], request.query["namespace"]
        process = await asyncio.create_subprocess_exec(
            *(kubectl, "rollout", "undo", f"deployment/{deployment}", "--namespace", namespace),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return web.Response(text=output.decode(), status=200 if process.returncode == 0 else 500)

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/", post)
    app.router.add_get("/ready", ready)
    return app


if __name__ == "__main__":
    web.run_app(webhook_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), print=None)
