// The search itself: what the memory model of C++ and Swift allows, it finds, and what that forbids, it does not.

import Testing

extension ReactorTests {
    @Suite struct LitmusTests {
        /// Whether some way to interleave these threads ends with the ghost at 0.
        private func reaches(_ build: (inout Model, Ghost) -> Void) -> Bool {
            var model = Model()
            let avoided = model.ghost()
            build(&model, avoided)
            return model.search { $0(avoided) == 0 ? "reached" : nil }.fault?.hasPrefix("reached") == true
        }

        @Test(arguments: Ordering.allCases)
        func `two threads that store and then load the other's place both see the old only without one order`(
            ordering: Ordering
        ) {
            let isReached = reaches { model, avoided in
                let places = [model.atomic("x"), model.atomic("y")]
                for own in 0...1 {
                    model.thread("thread \(own)") { code in
                        let seen = code.register()
                        code.add(.store(places[own], ordering, 1))
                        code.add(.load(places[1 - own], ordering, into: seen))
                        code.when(seen, is: 1) { $0.add(.count(avoided, offset: nil)) }
                    }
                }
            }
            #expect(isReached == !ordering.isTotal)
        }

        @Test(arguments: [true, false], [true, false])
        func `a message is seen through its flag if one side releases and the other acquires`(
            releases: Bool,
            acquires: Bool
        ) {
            let isReached = reaches { model, avoided in
                let (message, flag) = (model.atomic("message"), model.atomic("flag"))
                model.thread("sender") { code in
                    code.add(.store(message, .relaxed, 1))
                    code.add(.store(flag, releases ? .releasing : .relaxed, 1))
                }
                model.thread("receiver") { code in
                    let seen = code.register()
                    code.add(.awaitValue(flag, acquires ? .acquiring : .relaxed, 1))
                    code.add(.load(message, .relaxed, into: seen))
                    code.when(seen, is: 1) { $0.add(.count(avoided, offset: nil)) }
                }
            }
            #expect(isReached == !(releases && acquires))
        }

        @Test(arguments: Ordering.allCases)
        func `nobody sees an older store after a newer one of the same place`(ordering: Ordering) {
            let isReached = reaches { model, avoided in
                let place = model.atomic("place")
                model.thread("writer") { code in
                    code.add(.store(place, ordering, 1))
                    code.add(.store(place, ordering, 2))
                }
                model.thread("reader") { code in
                    let seen = code.register()
                    code.add(.awaitValue(place, ordering, 2))
                    code.add(.load(place, ordering, into: seen))
                    code.when(seen, is: 2) { $0.add(.count(avoided, offset: nil)) }
                }
            }
            #expect(!isReached)
        }

        @Test(arguments: [Ordering.acquiring, .sequentiallyConsistent])
        func `two readers see two writers' stores in different orders only without one order`(ordering: Ordering) {
            let isReached = reaches { model, avoided in
                let places = [model.atomic("x"), model.atomic("y")]
                for own in 0...1 {
                    model.thread("writer \(own)") { $0.add(.store(places[own], ordering, 1)) }
                    model.thread("reader \(own)") { code in
                        let seen = code.register()
                        code.add(.awaitValue(places[own], ordering, 1))
                        code.add(.load(places[1 - own], ordering, into: seen))
                        code.when(seen, is: 1) { $0.add(.count(avoided, offset: nil)) }
                    }
                }
            }
            #expect(isReached == !ordering.isTotal)
        }

        @Test func `a read-modify-write passes on what an earlier store has released`() {
            let isReached = reaches { model, avoided in
                let (message, flag) = (model.atomic("message"), model.atomic("flag"))
                model.thread("sender") { code in
                    code.add(.store(message, .relaxed, 1))
                    code.add(.store(flag, .releasing, 1))
                }
                model.thread("middle") { code in
                    let seen = code.register()
                    code.add(.awaitValue(flag, .relaxed, 1))
                    code.add(.add(flag, .relaxed, 1, into: seen))
                }
                model.thread("receiver") { code in
                    let seen = code.register()
                    code.add(.awaitValue(flag, .acquiring, 2))
                    code.add(.load(message, .relaxed, into: seen))
                    code.when(seen, is: 1) { $0.add(.count(avoided, offset: nil)) }
                }
            }
            #expect(!isReached)
        }

        @Test(arguments: [true, false])
        func `plain memory that two threads use without a lock is a race`(isLocked: Bool) {
            var model = Model()
            let (place, mutex) = (model.plain("the place"), model.mutex())
            model.thread("writer", copies: 2) { code in
                if isLocked { code.add(.lock(mutex)) }
                code.add(.write(place, offset: nil, 1))
                if isLocked { code.add(.unlock(mutex)) }
            }
            let fault = model.search { _ in nil }.fault
            #expect((fault == nil) == isLocked)
            #expect(isLocked || fault?.hasPrefix("a race for the place") == true)
        }

        @Test(arguments: [true, false])
        func `a thread that waits for a signal that does not come is found`(isSignalled: Bool) {
            var model = Model()
            let mutex = model.mutex()
            let ready = model.plain("ready")
            model.thread("waiter") { code in
                let seen = code.register()
                code.add(.lock(mutex))
                code.add(.read(ready, offset: nil, reader: nil, into: seen))
                code.when(seen, is: 0) { $0.add(.wait(mutex)) }
                code.add(.unlock(mutex))
            }
            model.thread("other") { code in
                code.add(.lock(mutex))
                code.add(.write(ready, offset: nil, 1))
                if isSignalled { code.add(.signal(mutex)) }
                code.add(.unlock(mutex))
            }
            let fault = model.search { _ in nil }.fault
            #expect(fault?.hasPrefix("waiter waits for ever") == (isSignalled ? nil : true))
        }
    }
}
