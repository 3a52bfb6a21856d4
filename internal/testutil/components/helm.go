package components

// helmVersion is that of the Helm library in this repository's go.mod.
const helmVersion = "4.3.1"

// Helm is the package manager of Kubernetes, for which Clover has a chart.
func Helm() Component {
	return built("helm", "Helm", helmVersion, "helmbin", "helm.sh/helm/v4/cmd/helm")
}
