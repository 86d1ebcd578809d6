"""A server on the loopback interface, in a thread."""

import asyncio
import threading


def serve(start) -> str:
    """Starts a server in a thread, and returns its address. `start` returns the coroutine that creates it."""
    ready, address = threading.Event(), []

    async def run():
        server = await start()
        address.append(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    ready.wait()
    return address[0]
