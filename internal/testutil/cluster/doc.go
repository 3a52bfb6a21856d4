// Package cluster gives tests a real Kubernetes cluster.
package cluster

import _ "embed"

// ownConfig is kind's configuration for the node image that is made here;
// $IMAGES in it is the archive of the components' images.
//
//go:embed kind.yaml
var ownConfig string

// plainConfig is kind's configuration for the node image that kind publishes.
const plainConfig = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"
