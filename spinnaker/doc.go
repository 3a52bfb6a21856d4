// Package spinnaker holds what the clients of a Spinnaker installation share:
// accounts of providers and their files, secrets that do not print, kubeconfigs
// that are checked before they are sent, and the errors.
//
// The clients are in packages of their own: [github.com/opnfv/clover/spinnaker/halyard]
// for Halyard's daemon and [github.com/opnfv/clover/spinnaker/gate] for
// installations without it; [github.com/opnfv/clover/spinnaker/pipeline] has
// pipelines as values and [github.com/opnfv/clover/spinnaker/spinnakertest]
// both servers for tests.
package spinnaker
