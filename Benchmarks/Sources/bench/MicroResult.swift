// Takes the micro-benchmarks: peers take turns within a round, ratios are between figures of one round.

internal import CMeasure

struct MicroResult: Codable {
    let micro: MicroCase
    let title: String
    let peers: [PeerResult]

    struct PeerResult: Codable {
        let peer: MicroPeer
        let rounds: [Double]
        let nanoseconds: Spread
        /// Our figure divided by this peer's of the same round; nil for ourselves.
        let oursToIt: Spread?
    }
}

struct MicroRunner {
    private let quick: Bool
    /// The peers that are programs of their own, and how to call them; those that the machine has not are left out.
    private let programs: [MicroPeer: [String]]

    init(quick: Bool) throws {
        self.quick = quick
        programs = try PeerPrograms.build()
    }

    func measure(_ micro: MicroCase, rounds: Int) throws -> MicroResult {
        let peers = micro.peers.filter { !PeerPrograms.peers.contains($0) || programs[$0] != nil }
        var figures: [MicroPeer: [Double]] = [:]
        for round in 0..<rounds {
            for turn in peers.indices {
                let peer = peers[(turn + round) % peers.count]
                let nanoseconds = try figure(micro, of: peer)
                figures[peer, default: []].append(nanoseconds)
                let text = Text.decimal(nanoseconds, places: 1)
                Terminal.note("\(micro.rawValue) \(round + 1)/\(rounds) \(peer.rawValue): \(text) ns")
            }
        }
        let ours = figures[.ours] ?? []
        return MicroResult(
            micro: micro,
            title: micro.title,
            peers: peers.map { peer in
                let rounds = figures[peer] ?? []
                return MicroResult.PeerResult(
                    peer: peer,
                    rounds: rounds,
                    nanoseconds: Spread(rounds),
                    oursToIt: peer == .ours ? nil : Spread(zip(ours, rounds).map { $0 / $1 })
                )
            }
        )
    }

    private func figure(_ micro: MicroCase, of peer: MicroPeer) throws -> Double {
        let count = quick ? micro.count / 10 : micro.count
        let arguments =
            if let program = programs[peer] {
                program + [micro.rawValue, "\(count)", "\(micro.pendingTimers)"]
            } else {
                [
                    try ChildProcess.ownPath(), "micro-role", micro.rawValue, peer.rawValue, "--count", "\(count)",
                    "--end-with-parent",
                ]
            }
        let name = "\(micro.rawValue) of \(peer.rawValue)"
        let process = try ChildProcess(name, arguments)
        let line = try process.readLine(within: .seconds(120))
        try process.waitForEnd(within: .seconds(10))
        guard let line, let nanoseconds = Double(line) else { throw BenchError("\(name) printed no figure") }
        return nanoseconds
    }
}
