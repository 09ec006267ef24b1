# Echo servers in Python: asyncio's own loop or uvloop, by streams or by protocols.
#
# Usage: echo.py asyncio|uvloop streams|protocol|lines HOST PORT. Serves until SIGTERM, and exits with 0.
import asyncio
import signal
import socket
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def by_chunks(reader, writer):
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def by_lines(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(api, host, port):
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    if api == "protocol":
        server = await loop.create_server(Echo, host, port, backlog=4096)
    else:
        handler = by_lines if api == "lines" else by_chunks
        server = await asyncio.start_server(handler, host, port, backlog=4096)
    for listener in server.sockets:
        # Accepted sockets inherit it; asyncio sets it by itself, uvloop too.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print("listening on %s:%d" % listener.getsockname()[:2], flush=True)
    await end.wait()
    server.close()


def run(kind, api, host, port):
    if kind == "uvloop":
        import uvloop

        uvloop.run(main(api, host, int(port)))
    else:
        asyncio.run(main(api, host, int(port)))


run(*sys.argv[1:5])
