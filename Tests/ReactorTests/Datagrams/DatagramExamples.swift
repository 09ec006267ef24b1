// The examples of the doc comments of datagrams, as code that is compiled: see Examples.swift.

import Reactor

/// `DatagramProtocol`.
enum DatagramProtocolExample {
    final class Answerer: DatagramProtocol {
        func datagramReceived(_ datagram: Datagram, from udp: DatagramTransport, on loop: isolated EventLoop) throws {
            try udp.send(datagram.bytes, to: datagram.address)
        }
    }
}
