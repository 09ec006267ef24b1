// The chat room, over real sockets, with guests in Python: who hears what, how guests leave, and what becomes of those
// who send too much or read too little.

import AsyncIO
import Foundation
import TestSupport
import Testing

@testable import examples

extension AsyncIOTests {
    @Suite struct ExampleChatRoomTests {
        private static let program = ForeignProgram.product("examples")

        /// Tools for the clients of the chat room.
        private static let guests = """
            import asyncio, socket, struct, sys
            class Guest:
                async def say(self, text):
                    self.writer.write(text if isinstance(text, bytes) else (text + "\\n").encode())
                    await self.writer.drain()
                async def hears(self, *lines):
                    for line in lines:
                        heard = (await asyncio.wait_for(self.reader.readline(), 30)).decode()
                        assert heard == line + "\\n", (heard, line)
                async def hears_nothing_more(self):
                    heard = await asyncio.wait_for(self.reader.read(), 30)
                    assert heard == b"", heard
                async def leave(self):
                    self.writer.close()
                    await self.writer.wait_closed()
                def vanish(self):
                    sock = self.writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.writer.transport.abort()
            async def connect(**options):
                guest = Guest()
                address = ("127.0.0.1", int(sys.argv[1]))
                guest.reader, guest.writer = await asyncio.open_connection(*address, **options)
                return guest
            async def join(name, *others):
                guest = await connect()
                await guest.say(name)
                await guest.hears(f"* Here: {', '.join(sorted([name, *others]))}.")
                for other in others:
                    await others[other].hears(f"* {name} joined.")
                return guest

            """

        @Test(.needs("python3"))
        func `the room passes on who comes, speaks and leaves`() async throws {
            let script = """
                async def main():
                    ann, bob, eve = await connect(), await connect(), await connect()
                    await ann.say("ann")
                    await ann.hears("* Here: ann.")
                    await bob.say("bob")
                    await bob.hears("* Here: ann, bob.")
                    await eve.say("eve")
                    await eve.hears("* Here: ann, bob, eve.")
                    await ann.hears("* bob joined.", "* eve joined.")
                    await bob.hears("* eve joined.")
                    await ann.say("hello, I am Ann")
                    await bob.hears("ann: hello, I am Ann")
                    await eve.hears("ann: hello, I am Ann")
                    await bob.say("")
                    await ann.hears("bob: ")
                    # Closes only its sending side, and is still sent what was said before.
                    bob.writer.write_eof()
                    await bob.hears_nothing_more()
                    await ann.hears("* bob left.")
                    await eve.hears("bob: ", "* bob left.")
                    await ann.say("still there?")
                    await eve.hears("ann: still there?")
                    # In the middle of a line.
                    await eve.say(b"I am fal")
                    eve.vanish()
                    await ann.hears("* eve left.")
                    await ann.leave()
                    await bob.leave()
                asyncio.run(main())
                """
            let log = Recorder<String>()
            let meeting = try await meet(Self.guests + script) { server, _ in await Room(log.output).open(server) }
            #expect(
                log.all == [
                    "ann joined, 1 in the room",
                    "bob joined, 2 in the room",
                    "eve joined, 3 in the room",
                    "bob left, 2 in the room",
                    "eve left, 1 in the room",
                    "ann left, 0 in the room",
                    "closed",
                ]
            )
            #expect(meeting.errors == ["ECONNRESET"])
        }

        @Test(.needs("python3"))
        func `a name is for one guest, and those without one do not come in`() async throws {
            let script = """
                async def main():
                    refusal = "* The first line must be a name of 1 to 30 bytes that nobody has here."
                    ann = await connect()
                    await ann.say("ann")
                    await ann.hears("* Here: ann.")
                    for name in ["ann", "", "x" * 31, "y" * 2000]:
                        other = await connect()
                        await other.say(name)
                        await other.hears(refusal)
                        await other.hears_nothing_more()
                        await other.leave()
                    silent, reset = await connect(), await connect()
                    await silent.leave()
                    reset.vanish()
                    await ann.say("z" * 1000)
                    bob = await connect()
                    await bob.say(b"b")
                    await bob.say(b"ob\\r\\n")
                    await bob.hears("* Here: ann, bob.")
                    await ann.hears("* bob joined.")
                    await ann.leave()
                    await bob.hears("* ann left.")
                    # Free again.
                    ann = await connect()
                    await ann.say("ann")
                    await ann.hears("* Here: ann, bob.")
                    await bob.hears("* ann joined.")
                    await asyncio.gather(ann.leave(), bob.leave())
                asyncio.run(main())
                """
            let log = Recorder<String>()
            _ = try await meet(Self.guests + script) { server, _ in await Room(log.output).open(server) }
            #expect(log.all.count == 7 && log.all.last == "closed", "\(log.all)")
        }

        @Test(.needs("python3"))
        func `a line that is too long is dropped, said to be, and forgotten`() async throws {
            let script = """
                async def main():
                    ann, bob = await connect(), await connect()
                    await ann.say("ann")
                    await ann.hears("* Here: ann.")
                    await bob.say("bob")
                    await bob.hears("* Here: ann, bob.")
                    await ann.hears("* bob joined.")
                    tooLong = "* A line can have 1000 bytes; yours was dropped."
                    await ann.say("x" * 1000)
                    await bob.hears("ann: " + "x" * 1000)
                    await ann.say("y" * 1001)
                    await ann.hears(tooLong)
                    await ann.say("short")
                    await bob.hears("ann: short")
                    for _ in range(50): await ann.say(b"z" * 100_000)
                    await ann.hears(tooLong)
                    await ann.say("\\nshort again \u{fc}\u{1F642}")
                    await bob.hears("ann: short again \u{fc}\u{1F642}")
                    # The character in two pieces.
                    await ann.say(b"\\xc3")
                    await ann.say(b"\\xbc\\r")
                    await ann.say(b"\\n")
                    await bob.hears("ann: \u{fc}")
                    await asyncio.gather(ann.leave(), bob.leave())
                asyncio.run(main())
                """
            let log = Recorder<String>()
            _ = try await meet(Self.guests + script) { server, _ in await Room(log.output).open(server) }
            #expect(log.all.count == 5 && log.all.last == "closed", "\(log.all)")
        }

        @Test(.needs("python3"))
        func `a guest who does not read stalls nobody, and is put out`() async throws {
            let script = """
                async def main():
                    ann, bob = await connect(), await connect(limit=1 << 20)
                    await ann.say("ann")
                    await ann.hears("* Here: ann.")
                    await bob.say("bob")
                    await bob.hears("* Here: ann, bob.")
                    await ann.hears("* bob joined.")
                    slow = socket.socket()
                    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    slow.connect(("127.0.0.1", int(sys.argv[1])))
                    slow.sendall(b"slow\\n")
                    await bob.hears("* slow joined.")
                    await ann.hears("* slow joined.")
                    count = 0
                    # Until he is out; what he holds up at most is what the kernel takes and a megabyte.
                    while count < 40_000:
                        for number in range(count, count + 100):
                            ann.writer.write(b"%d %s\\n" % (number, b"x" * 900))
                        for number in range(count, count + 100):
                            heard = await asyncio.wait_for(bob.reader.readline(), 30)
                            if heard == b"* slow left.\\n":
                                heard = await asyncio.wait_for(bob.reader.readline(), 30)
                                count = 1_000_000
                            assert heard.startswith(b"ann: %d x" % number), heard
                        count += 100
                    print(count > 1_000_000)
                    try:
                        while slow.recv(100_000): pass
                        print("ended")
                    except ConnectionResetError:
                        print("reset")
                    slow.close()
                    await asyncio.gather(ann.leave(), bob.leave())
                asyncio.run(main())
                """
            let log = Recorder<String>()
            let meeting = try await meet(Self.guests + script) { server, _ in await Room(log.output).open(server) }
            #expect(meeting.output == ["True", "reset"])
            #expect(log.all[3] == "slow left, 2 in the room" && log.all.last == "closed", "\(log.all)")
        }

        @Test(.needs("python3"))
        func `a room that closes tells everybody, and waits for nobody for long`() async throws {
            let script = """
                async def main():
                    ann, unnamed = await connect(), await connect()
                    await ann.say("ann")
                    await ann.hears("* Here: ann.")
                    print("ready", flush=True)
                    await ann.hears("* The room closes.")
                    await ann.hears_nothing_more()
                    await ann.leave()
                    try:
                        await unnamed.hears_nothing_more()
                    except ConnectionResetError:
                        print("reset")
                    unnamed.writer.close()
                asyncio.run(main())
                """
            let log = Recorder<String>()
            let meeting = try await meet(Self.guests + script) { server, ready in
                let open = Task { await Room(log.output).open(server) }
                _ = try await ready.value
                open.cancel()
                await open.value
            }
            #expect(log.all == ["ann joined, 1 in the room", "ann left, 0 in the room", "closed"])
            #expect(meeting == Meeting(output: ["ready", "reset"], errors: ["closed", "closed"]))
        }

        @Test(.needs("python3"), .needs(product: "examples"))
        func `Ctrl-C closes the room of the program, which then ends with 0`() throws {
            let program = try ForeignProgram([try #require(Self.program), "chat-room", "--port", "0"])
            let line = program.readLine()
            try #require(line.hasPrefix("listening on 127.0.0.1:"), "\(line)")
            let script = """
                async def main():
                    ann = await connect()
                    await ann.say("ann")
                    await ann.hears("* Here: ann.")
                    print("ready", flush=True)
                    await ann.hears("* The room closes.")
                    await ann.hears_nothing_more()
                    await ann.leave()
                asyncio.run(main())
                """
            let client = try ForeignProgram.python(Self.guests + script, "\(line.split(separator: ":").last!)")
            #expect(client.readLine() == "ready")
            program.send(SIGINT)
            let end = program.finish()
            #expect(end.status == 0 && end.errors.isEmpty, "\(end)")
            #expect(end.output == "ann joined, 1 in the room\nann left, 0 in the room\nclosed\n")
            let clientEnd = client.finish()
            #expect(clientEnd.status == 0, "\(clientEnd.errors)")
        }
    }
}
