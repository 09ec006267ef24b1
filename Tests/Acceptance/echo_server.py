"""Runs the echo server against foreign clients, twice, and checks that the second round leaves nothing behind.

    python3 Tests/Acceptance/echo_server.py .build/release/echo-server

Each round: 20 connections of 20 MB in odd chunks, every byte compared; 3,000 connections at once; 50,000 short ones, a
third of them reset; clients that half-close, vanish, and never read. After it a server with 64 descriptors meets 150
clients; one at a path serves connections over a Unix socket; and one sends datagrams back. Only loopback, bounded, and
it ends by itself. Exit status 0 if everything held.
"""

import asyncio
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

MEGABYTE = 1_000_000
ODD_CHUNKS = [1, 3, 17, 1021, 4093, 65537, 131071, 7]


class Server:
    def __init__(self, binary, *flags, limit=None):
        def lower():
            if limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        self.process = subprocess.Popen(
            [binary, *(flags if "--unix" in flags else ("--port", "0", *flags))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=lower
        )
        line = self.process.stdout.readline()
        if line.startswith("listening on unix:"):
            self.port = line[len("listening on unix:"):].rstrip("\n")
        else:
            assert line.startswith("listening on 127.0.0.1:"), line
            self.port = int(line.rsplit(":", 1)[1])
        if "--udp" in flags:
            return
        # libuv opens a descriptor of its own with the first connection, and keeps it.
        check_served(self.port)
        self.settle(self.descriptors_at_rest())

    def descriptors_at_rest(self):
        """How many descriptors are open once the number stays the same."""
        while True:
            count = self.descriptors()
            time.sleep(0.1)
            if count == self.descriptors():
                return count

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss_Anon:") or line.startswith("Rss:"))

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settle(self, descriptors, seconds=20):
        """Waits until the server has closed what its clients have left."""
        end = time.monotonic() + seconds
        while self.descriptors() > descriptors and time.monotonic() < end:
            time.sleep(0.02)
        assert self.descriptors() == descriptors, f"{self.descriptors()} descriptors, {descriptors} expected"

    def end(self):
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=15)
        assert self.process.returncode == 0, (self.process.returncode, errors)
        return errors.strip()


def connect(port, timeout=None):
    """A connection to a port, or to a path."""
    if isinstance(port, int):
        return socket.create_connection(("127.0.0.1", port), timeout=timeout)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    sock.connect(port)
    return sock


def open_connection(port):
    if isinstance(port, int):
        return asyncio.open_connection("127.0.0.1", port)
    return asyncio.open_unix_connection(port)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def source(number):
    """One of many loopback addresses, so that ports do not run out."""
    return f"127.0.{1 + number // 20000}.{1 + number % 250}"


async def bulk(port, megabytes=20, connections=20):
    pattern = bytes((i * 31 + (i >> 8)) & 255 for i in range(1 << 18))

    async def one(number):
        reader, writer = await open_connection(port)
        total = megabytes * MEGABYTE

        async def send():
            sent, turn = 0, number
            while sent < total:
                size = min(ODD_CHUNKS[turn % len(ODD_CHUNKS)], total - sent)
                turn += 1
                start = sent % len(pattern)
                data = pattern[start : start + size]
                writer.write(data)
                sent += len(data)
                await writer.drain()
            writer.write_eof()

        sender = asyncio.create_task(send())
        received = 0
        while data := await reader.read(262144):
            at, left = 0, len(data)
            while left:
                start = (received + at) % len(pattern)
                size = min(left, len(pattern) - start)
                assert data[at : at + size] == pattern[start : start + size], f"connection {number}, byte {received + at}"
                at += size
                left -= size
            received += len(data)
        await sender
        assert received == total, (received, total)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one(number) for number in range(connections)))


async def many(port, count=3000):
    pairs = await asyncio.gather(*(open_connection(port) for _ in range(count)))
    for number, (_, writer) in enumerate(pairs):
        writer.write(b"number %d\n" % number)
    for number, (reader, writer) in enumerate(pairs):
        assert await reader.readline() == b"number %d\n" % number
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in pairs))


def short(port, count=50_000):
    for number in range(count):
        sock = socket.socket()
        sock.bind((source(number), 0))
        sock.connect(("127.0.0.1", port))
        sock.sendall(b"x")
        if number % 3 == 0:
            reset(sock)
        else:
            assert sock.recv(1) == b"x"
            sock.close()


def half_close(port, count=50):
    for _ in range(count):
        sock = connect(port)
        sock.sendall(b"all of it")
        sock.shutdown(socket.SHUT_WR)
        data = b""
        while part := sock.recv(100):
            data += part
        assert data == b"all of it", data
        sock.close()


def vanish(port, count=50):
    for number in range(count):
        sock = connect(port)
        sock.sendall(b"x" * (number * 1000))
        reset(sock)


def never_read(port, count=20):
    socks = []
    for _ in range(count):
        sock = connect(port)
        sock.setblocking(False)
        try:
            while True:
                sock.send(b"y" * 65536)
        except BlockingIOError:
            pass
        socks.append(sock)
    # The others are served meanwhile.
    check_served(port)
    for sock in socks:
        sock.close()


def check_served(port):
    with connect(port, timeout=5) as sock:
        sock.sendall(b"still there")
        assert sock.recv(100) == b"still there"


def one_round(server, idle):
    steps = [
        ("bulk", lambda: asyncio.run(bulk(server.port))),
        ("3,000 at once", lambda: asyncio.run(many(server.port))),
        ("50,000 short", lambda: short(server.port)),
        ("half-close", lambda: half_close(server.port)),
        ("vanish", lambda: vanish(server.port)),
        ("never read", lambda: never_read(server.port)),
    ]
    for name, step in steps:
        start = time.monotonic()
        step()
        server.settle(idle)
        print(f"  {name}: {time.monotonic() - start:.1f} s", flush=True)


def few_descriptors(binary):
    """64 descriptors, 150 clients: those served stay served, nothing spins, and the rest get their turn."""
    server = Server(binary, limit=64)
    idle = server.descriptors()
    socks = []
    for number in range(150):
        sock = connect(server.port, timeout=5)
        sock.sendall(b"client %d" % number)
        socks.append(sock)
    served = []
    for number, sock in enumerate(socks):
        sock.settimeout(0.5 if len(served) < number else 5)
        try:
            if sock.recv(100) == b"client %d" % number:
                served.append(number)
        except TimeoutError:
            break
    assert 10 <= len(served) < 64, len(served)
    before = server.cpu()
    time.sleep(1)
    spent = server.cpu() - before
    assert spent < 0.1, f"spins: {spent} s of CPU in one second at the limit"
    for number in served:
        socks[number].sendall(b"again")
        assert socks[number].recv(100) == b"again", number
    # Each that leaves makes room for one that waits, in order, and none of them was refused.
    for number in range(len(socks)):
        socks[number].settimeout(5)
        if number not in served:
            assert socks[number].recv(100) == b"client %d" % number, number
        socks[number].close()
    server.settle(idle)
    check_served(server.port)
    print(f"  64 descriptors, 150 clients: {len(served)} served at once, all in the end; {server.end()}", flush=True)


def at_a_path(binary, api):
    """Connections over a Unix socket, whose file is gone at the end."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(binary, "--unix", os.path.join(folder, "echo"), "--api", api)
        idle = server.descriptors()
        asyncio.run(bulk(server.port, megabytes=5, connections=10))
        asyncio.run(many(server.port, count=1000))
        for step in (half_close, vanish, never_read):
            step(server.port)
            server.settle(idle)
        print(f"  at a path, {api}: {server.end()}", flush=True)
        assert os.listdir(folder) == [], os.listdir(folder)


def datagrams(binary, api, clients=20, rounds=500):
    """Datagrams of many senders and all sizes, each of which goes back to its sender."""
    server = Server(binary, "--udp", "--api", api)
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(clients)]
    for sock in socks:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", server.port))
    total = 0
    for number in range(rounds):
        sent = [os.urandom((number * 131 + client) % 1400) for client in range(clients)]
        for sock, data in zip(socks, sent):
            sock.send(data)
        for sock, data in zip(socks, sent):
            assert sock.recv(2000) == data, (number, len(data))
            total += len(data)
    figures = server.end()
    assert figures == f"echo-server: {clients * rounds} datagrams, {total} bytes received, {total} bytes sent", figures
    print(f"  datagrams, {api}: {figures}", flush=True)


def main():
    binary = sys.argv[1]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = Server(binary)
    idle = server.descriptors()
    memory = []
    for number in (1, 2):
        print(f"round {number}", flush=True)
        one_round(server, idle)
        memory.append(server.resident())
    growth = memory[1] - memory[0]
    print(f"  resident after the rounds: {memory}, grown by {growth}", flush=True)
    assert server.descriptors() == idle
    assert growth < 1 << 20, f"the second round cost {growth} bytes"
    print(" ", server.end())
    few_descriptors(binary)
    for api in ("streams", "callbacks"):
        at_a_path(binary, api)
        datagrams(binary, api)
    print("all held")


if __name__ == "__main__":
    main()
