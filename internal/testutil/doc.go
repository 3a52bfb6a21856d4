// Package testutil starts the real programs that Clover is tested against,
// on loopback, and ends them with the test.
//
//   - [Jaeger] runs Jaeger's first generation or the second, in memory or on
//     disk; it can be stopped, killed and started again on the same ports.
//   - [Prometheus] runs Prometheus with given targets.
//   - [S3] runs an S3 server without buckets.
//   - [Suricata] tests rules and reads captures by the real engine.
//   - [Envoy] runs one Envoy with a given bootstrap; package envoymesh puts
//     several of them together as an Istio-like mesh.
//   - [Eventually] waits for a condition and shows the state on failure,
//     [FreePort] reserves a port, [Logger] logs into the test,
//     [Start] runs any other program.
//
// Package components makes the programs; command install makes them ahead of
// the tests. A component that cannot be had skips the test and gives the
// reason; where CLOVER_TEST_REQUIRE is "all", or a comma-separated list with
// the component's name, it fails the test instead. With -short, tests that
// need a component are skipped unless it is required.
//
// Helpers end the test by [testing.TB.Fatalf], so call them from the
// goroutine of the test, unless their comment says otherwise.
package testutil
