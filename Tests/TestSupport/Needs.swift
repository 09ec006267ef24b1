// What a test needs beside this package. Where it is missing the test is skipped, with the reason; in continuous integration
// it fails, as nobody reads there what was skipped.

import Foundation
public import Testing

/// A test cannot run for want of something that continuous integration must have.
public struct Missing: Error, CustomStringConvertible {
    /// What to do about it, in one sentence.
    public let description: String
}

extension Trait where Self == ConditionTrait {
    /// The test needs programs that others have written, on the search path.
    public static func needs(_ programs: String..., sourceLocation: SourceLocation = #_sourceLocation) -> Self {
        let missing = programs.filter { ForeignProgram.find($0) == nil }.joined(separator: " and ")
        return needs("\(missing) to be installed", if: missing.isEmpty, sourceLocation: sourceLocation)
    }

    /// The test needs an executable of this package.
    public static func needs(product: String, sourceLocation: SourceLocation = #_sourceLocation) -> Self {
        needs("\(product) to be built", if: ForeignProgram.product(product) != nil, sourceLocation: sourceLocation)
    }

    /// The test needs something, which is there or is not.
    public static func needs(
        _ something: String,
        if isThere: Bool,
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> Self {
        enabled("It needs \(something).", sourceLocation: sourceLocation) {
            if isThere { return true }
            guard isContinuousIntegration else { return false }
            throw Missing(
                description: "This test needs \(something): CI is true in the environment, so it must not be skipped."
            )
        }
    }
}

/// Whether nobody looks at what was skipped: `CI` is `true` in the environment.
private let isContinuousIntegration = ProcessInfo.processInfo.environment["CI"] == "true"
