// The Task/Future layer. Until it has symbols of its own it is the reactor under the name that programs import.

@_exported public import Reactor
