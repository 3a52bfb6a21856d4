// Package cluster gives tests a real Kubernetes cluster.
package cluster

import _ "embed"

// ownConfig is kind's configuration for the node image that is made here.
//
//go:embed kind.yaml
var ownConfig []byte

// plainConfig is kind's configuration for the node image that kind publishes.
const plainConfig = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"
