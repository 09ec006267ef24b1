// Behaviours 91 to 96 of asyncio: what a listener does from listen to its end in each of the three ways, and the
// connection limit, which makes clients wait and refuses nobody.

import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct ListenerTests {
        @Test(arguments: everyNetwork)
        func `port 0 takes a free port, which the listener then knows`(network: EventLoop.Network) throws {
            try perform(on: network) { loop in
                let listeners = try (0..<3).map { _ in try loop.listen(on: .anyPort) { Probe() } }
                #expect(listeners.allSatisfy { $0.localAddress.port != 0 && $0.isListening })
                #expect(Set(listeners.map(\.localAddress.port)).count == 3)
                for listener in listeners {
                    listener.close()
                    listener.close()
                    #expect(!listener.isListening)
                }
                loop.stop()
                return {}
            }
        }

        @Test(arguments: everyNetwork)
        func `a port in use is an error that names the address, and is free again after close`(
            network: EventLoop.Network
        ) throws {
            try perform(on: network) { loop in
                let first = try loop.listen(on: .anyPort) { Probe() }
                let address = first.localAddress
                let error = #expect(throws: SystemError.self) { try loop.listen(on: address) { Probe() } }
                #expect(error?.code == .addressInUse && error?.address == address)
                #expect("\(error!)".contains("\(address): ") && "\(error!)".contains("EADDRINUSE"))
                first.close()
                after(turns: 2, on: loop) {
                    #expect(throws: Never.self) { try loop.listen(on: address) { Probe() }.close() }
                    loop.stop()
                }
                return {}
            }
        }

        @Test(.enabled(if: hasIPv6)) func `IPv4 and IPv6 share a port without taking it from each other`() throws {
            try perform(on: .system) { loop in
                let v4 = try loop.listen(on: .anyPort) { Probe() }
                let address = try SocketAddress(host: "::1", port: Int(v4.localAddress.port))
                let v6 = try loop.listen(on: address) { Probe() }
                let client = Probe()
                client.onMade = { transport in
                    #expect(transport.remoteAddress == address)
                    #expect("\(address)" == "[::1]:\(address.port)")
                    transport.close()
                }
                client.whenOver = {
                    v4.close()
                    v6.drain(within: .seconds(10)) {
                        #expect(v4.acceptedCount == 0 && v6.acceptedCount == 1)
                        loop.stop()
                    }
                }
                try loop.connect(to: address, { client }, onFailure: { Issue.record("\($0)") })
                return {}
            }
        }

        @Test func `several listeners can share a port if all of them ask for it`() throws {
            try perform(on: .system) { loop in
                var options = ListenerOptions()
                options.reusePort = true
                let first = try loop.listen(on: .anyPort, options: options) { Probe() }
                try loop.listen(on: first.localAddress, options: options) { Probe() }.close()
                #expect(throws: SystemError.self) { try loop.listen(on: first.localAddress) { Probe() } }
                first.close()
                loop.stop()
                return {}
            }
        }

        @Test(arguments: everyNetwork)
        func `at the limit accepting pauses, nobody is refused, and everybody is served in turn`(
            network: EventLoop.Network
        ) throws {
            let served = Recorder<Int>()
            try perform(on: network) { loop in
                var options = ListenerOptions()
                options.maxConnections = 3
                var open = 0
                var most = 0
                let listener = try loop.listen(on: .anyPort, options: options) {
                    let probe = Probe()
                    probe.onMade = { _ in
                        open += 1
                        most = max(most, open)
                    }
                    probe.onData = { transport, bytes in transport.write(bytes) }
                    probe.whenOver = { open -= 1 }
                    return probe
                }
                #expect(listener.maxConnections == 3)
                for number in 0..<20 {
                    let client = Probe()
                    client.onMade = { $0.write("?") }
                    client.onData = { transport, _ in
                        #expect(listener.connectionCount <= 3)
                        served.append(number)
                        after(turns: 3, on: loop) { transport.close() }
                    }
                    client.whenOver = {
                        guard served.count == 20, listener.isListening else { return }
                        listener.drain(within: .seconds(10)) {
                            #expect(most == 3 && open == 0)
                            #expect(listener.acceptedCount == 20 && listener.pauseCount > 0 && !listener.isPaused)
                            #expect(listener.connectionCount == 0 && listener.failedAcceptCount == 0)
                            #expect(loop.statistics.connectionsAccepted == 20)
                            loop.stop()
                        }
                    }
                    try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                }
                return {}
            }
            #expect(served.all.sorted() == Array(0..<20))
        }

        @Test(arguments: everyNetwork)
        func `a listener that is closed at its limit lets the waiting client go and keeps the others`(
            network: EventLoop.Network
        ) throws {
            let log = Recorder<String>()
            try perform(on: network) { loop in
                var options = ListenerOptions()
                options.maxConnections = 1
                let server = Probe()
                let listener = try loop.listen(on: .anyPort, options: options) { server }
                let (first, second) = (Probe(), Probe())
                first.onData = { transport, _ in
                    log.append("first is served")
                    transport.close()
                }
                second.onMade = { _ in
                    after(turns: 20, on: loop) {
                        #expect(listener.isPaused)
                        listener.close()
                    }
                }
                second.whenOver = {
                    log.append("second is gone")
                    server.transport?.write("still here")
                }
                server.whenOver = { loop.stop() }
                first.onMade = { _ in
                    try loop.connect(to: listener.localAddress, { second }, onFailure: { Issue.record("\($0)") })
                }
                try loop.connect(to: listener.localAddress, { first }, onFailure: { Issue.record("\($0)") })
                return {}
            }
            #expect(log.all == ["second is gone", "first is served"])
        }

        @Test(arguments: everyNetwork)
        func `drain lets connections finish, refuses new ones, and says when the last is gone`(
            network: EventLoop.Network
        ) throws {
            let log = Recorder<String>()
            try perform(on: network) { loop in
                let server = Probe()
                let client = Probe()
                let listener = try loop.listen(on: .anyPort) { server }
                let address = listener.localAddress
                server.onMade = { _ in
                    listener.drain(within: .seconds(30)) { log.append("drained") }
                    listener.drain(within: .seconds(30)) {
                        log.append("drained too")
                        loop.stop()
                    }
                    log.append("returned")
                    after(turns: 5, on: loop) {
                        _ = try? loop.connect(to: address, { Probe() }) { error in
                            log.append(word(error))
                            client.transport?.write("bye")
                        }
                    }
                }
                server.onData = { transport, bytes in if server.received.count == 3 { transport.close() } }
                client.whenOver = { log.append("client \(client.story.last!)") }
                server.whenOver = { log.append("server \(server.story.last!)") }
                try loop.connect(to: address, { client }, onFailure: { Issue.record("\($0)") })
                return {}
            }
            let expected = ["returned", "ECONNREFUSED", "server lost", "drained", "drained too"]
            #expect(log.all.filter { !$0.hasPrefix("client") } == expected)
        }

        @Test(arguments: [EventLoop.Network.memory(), .memory(capacity: 16, largestRead: 3)])
        func `drain aborts what is still open at its deadline`(network: EventLoop.Network) throws {
            let log = Recorder<String>()
            try perform(on: network) { loop in
                let client = Probe()
                let listener = try loop.listen(on: .anyPort) { Probe() }
                let began = loop.now
                client.onMade = { _ in
                    loop.schedule {
                        listener.drain(within: .seconds(5)) {
                            #expect(began.duration(to: loop.now) == .seconds(5))
                            log.append("drained")
                        }
                    }
                }
                client.whenOver = {
                    log.append(client.story.last!)
                    loop.schedule { loop.schedule { loop.stop() } }
                }
                try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                return {}
            }
            #expect(log.all.sorted() == ["drained", "lost ECONNRESET"])
        }

        @Test(arguments: everyNetwork, ["abort", "abortConnections", "closeConnections", "drain at once"])
        func `all connections of a listener can be ended at once`(network: EventLoop.Network, how: String) throws {
            let lost = Recorder<String>()
            try perform(on: network) { loop in
                let listener = try loop.listen(on: .anyPort) {
                    let probe = Probe()
                    probe.onMade = { $0.write("hello") }
                    return probe
                }
                var ready = 0
                for _ in 0..<10 {
                    let client = Probe()
                    client.onData = { _, _ in
                        guard client.received.count == 5 else { return }
                        ready += 1
                        guard ready == 10 else { return }
                        switch how {
                        case "abort": listener.abort()
                        case "abortConnections": listener.abortConnections()
                        case "closeConnections": listener.closeConnections()
                        default: listener.drain(within: .zero) {}
                        }
                        #expect(listener.isListening == how.hasSuffix("Connections"))
                        #expect(listener.connectionCount == 10)
                    }
                    client.whenOver = {
                        lost.append(client.story.last!)
                        if lost.count == 10 { listener.drain(within: .seconds(10)) { loop.stop() } }
                    }
                    try loop.connect(to: listener.localAddress, { client }, onFailure: { Issue.record("\($0)") })
                }
                return {}
            }
            let expected = how == "closeConnections" ? "lost" : "lost ECONNRESET"
            #expect(lost.all == Array(repeating: expected, count: 10))
        }
    }
}
