// Host names in ASCII: what is ASCII stays as it is, and of everything else the form that is looked up says, read back
// by RFC 3492, what it was in small letters. Addresses go through their C structures and come back as they were.
//
// Both are internal to their module, which only a debug build opens.

#if DEBUG
@testable import Reactor

enum HostNameCheck {
    static func run(_ input: inout FuzzInput) throws {
        let ledger = Ledger()
        if input.flip() {
            checkName(name(&input), ledger)
        } else {
            checkStructure(String(decoding: input.remainder(), as: UTF8.self), ledger)
        }
        try ledger.settle()
    }

    /// Text of any bytes, or of characters from all over Unicode.
    private static func name(_ input: inout FuzzInput) -> String {
        if input.flip() { return String(decoding: input.remainder(), as: UTF8.self) }
        var scalars = String.UnicodeScalarView()
        while !input.isAtEnd {
            let (high, low) = (UInt32(input.byte()), UInt32(input.byte()))
            let value = high < 128 ? low & 0x7F : (high - 128) << 13 | low << 5 | low & 31
            if let scalar = Unicode.Scalar(value) { scalars.append(scalar) }
        }
        return String(scalars)
    }

    private static func checkName(_ name: String, _ ledger: Ledger) {
        let ascii: String
        do { ascii = try HostName.ascii(name) } catch {
            let isFine = name.utf8.contains(0) || name.utf8.count > 63
            return ledger.expect(isFine || name.utf8.contains { $0 >= 0x80 }, "'\(name)': \(error)")
        }
        ledger.expect(!name.utf8.contains(0), "a zero byte is taken")
        ledger.expect(ascii.utf8.allSatisfy { $0 < 0x80 }, "'\(ascii)' is not ASCII")
        ledger.expect(ascii.utf8.count <= 254, "'\(ascii)' is too long")
        if name.utf8.allSatisfy({ $0 < 0x80 }) {
            return ledger.expect(ascii == name, "'\(name)' became '\(ascii)'")
        }
        let dots = ".。．｡".unicodeScalars
        let parts = name.unicodeScalars.split(omittingEmptySubsequences: false) { dots.contains($0) }
        let labels = parts.map { Substring($0) }
        let written = ascii.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count == written.count else {
            return ledger.expect(false, "'\(ascii)' has \(written.count) labels, not \(labels.count)")
        }
        for (label, text) in zip(labels, written) {
            if label.utf8.allSatisfy({ $0 < 0x80 }) {
                ledger.expect(label == text, "'\(label)' became '\(text)'")
            } else {
                let decoded = text.hasPrefix("xn--") ? decode(text.dropFirst(4)) : nil
                let expected = Array(label.lowercased().unicodeScalars)
                ledger.expect(decoded == expected, "'\(label)' became '\(text)'")
            }
        }
    }

    /// The characters that Punycode stands for, as section 6.2 of the RFC has it.
    private static func decode(_ text: Substring) -> [Unicode.Scalar]? {
        var output: [Unicode.Scalar] = []
        var rest = text.unicodeScalars[...]
        if let dash = text.unicodeScalars.lastIndex(of: "-") {
            output = Array(text.unicodeScalars[..<dash])
            rest = text.unicodeScalars[text.unicodeScalars.index(after: dash)...]
        }
        var (point, place, bias) = (128, 0, 72)
        while !rest.isEmpty {
            let before = place
            var (weight, step) = (1, 36)
            while true {
                guard let digit = rest.popFirst().flatMap(value) else { return nil }
                place += digit * weight
                let threshold = step <= bias ? 1 : min(26, step - bias)
                if digit < threshold { break }
                weight *= 36 - threshold
                step += 36
            }
            let count = output.count + 1
            var delta = before == 0 ? (place - before) / 700 : (place - before) / 2
            delta += delta / count
            var shift = 0
            while delta > 455 {
                delta /= 35
                shift += 36
            }
            bias = shift + 36 * delta / (delta + 38)
            point += place / count
            place %= count
            guard let scalar = Unicode.Scalar(UInt32(point)) else { return nil }
            output.insert(scalar, at: place)
            place += 1
        }
        return output
    }

    private static func value(_ digit: Unicode.Scalar) -> Int? {
        switch digit {
        case "a"..."z": Int(digit.value) - 97
        case "0"..."9": Int(digit.value) - 22
        default: nil
        }
    }

    private static func checkStructure(_ text: String, _ ledger: Ledger) {
        let all = [try? SocketAddress(host: text, port: 1_234), try? SocketAddress(unixPath: text)]
        for address in all.compactMap(\.self) {
            let copy = unsafe address.withSockaddr { pointer, length in
                unsafe SocketAddress(pointer, length: length)
            }
            ledger.expect(copy == address, "\(address) came back as \(String(describing: copy))")
        }
    }
}
#else
enum HostNameCheck {
    static func run(_ input: inout FuzzInput) throws { throw FuzzFailure("needs a debug build") }
}
#endif
