package process

// Reachable is reachable for tests.
var Reachable = reachable
