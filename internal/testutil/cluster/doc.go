// Package cluster gives tests a real Kubernetes cluster: that of KUBECONFIG,
// or one of one node that kind makes for the test process.
//
// [Start] is for tests; [Up], [Down], [List] and [Load] are for command
// testcluster, with which people make one. Where no Docker answers, one is
// started by package sandbox. docs/guide-test-cluster.md says more.
package cluster
