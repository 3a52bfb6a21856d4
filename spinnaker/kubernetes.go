package spinnaker

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

// Kubernetes is the file of an account of a Kubernetes cluster. Zero values
// are left to the server.
type Kubernetes struct {
	// Name matches NamePattern.
	Name string
	// ProviderVersion is V1 or V2. Spinnaker has known V2 only since 1.21 and
	// takes V1 for V2, which is what is sent.
	ProviderVersion string
	// KubeconfigFile is a file on the machine of the person who asks. Its
	// content goes into Kubeconfig.
	KubeconfigFile string
	// Kubeconfig is the content of a kubeconfig, checked by ReadKubeconfig.
	Kubeconfig Secret
	// Context of the kubeconfig; "": its current one.
	Context string
	// ServiceAccount makes Spinnaker use that of its own pod instead of a
	// kubeconfig.
	ServiceAccount bool
	// Namespaces to use, or OmitNamespaces to leave out; not both. The same
	// for the kinds of objects.
	Namespaces, OmitNamespaces, Kinds, OmitKinds []string
	// DockerRegistries are the accounts whose images the cluster runs.
	DockerRegistries []DockerRegistryReference
	CacheThreads     int64
	// CheckPermissionsOnStartup makes Spinnaker find out by itself which
	// kinds it may read.
	CheckPermissionsOnStartup, OnlySpinnakerManaged bool
	Permissions                                     Permissions
}

// DockerRegistryReference names an account of a docker registry.
type DockerRegistryReference struct {
	AccountName string
	// Namespaces where its images may be used; empty: all.
	Namespaces []string
}

// ReadKubernetes reads the file of an account, YAML or JSON. Faults are
// FieldErrors, joined; they quote no value that may be secret.
func ReadKubernetes(data []byte) (Kubernetes, error) {
	var k Kubernetes
	err := readFile(data, []key{
		{"name", text(&k.Name)}, {"providerVersion", text(&k.ProviderVersion)}, {"kubeconfigFile", text(&k.KubeconfigFile)},
		{"kubeconfigContents", secret(&k.Kubeconfig)}, {"context", text(&k.Context)}, {"serviceAccount", truth(&k.ServiceAccount)},
		{"namespaces", texts(&k.Namespaces)}, {"omitNamespaces", texts(&k.OmitNamespaces)},
		{"kinds", texts(&k.Kinds)}, {"omitKinds", texts(&k.OmitKinds)},
		{"dockerRegistries", list(k.readReference)}, {"cacheThreads", number(&k.CacheThreads, 1)},
		{"checkPermissionsOnStartup", truth(&k.CheckPermissionsOnStartup)},
		{"onlySpinnakerManaged", truth(&k.OnlySpinnakerManaged)}, {"permissions", k.Permissions.read},
	})
	if err != nil {
		return Kubernetes{}, err
	}
	k.ProviderVersion = strings.ToUpper(k.ProviderVersion)
	return k, k.Check()
}

// readReference reads an item of dockerRegistries; a name alone will do.
func (k *Kubernetes) readReference(r *reader, n ast.Node, at string) {
	var ref DockerRegistryReference
	if name, ok := strictyaml.Scalar(n); ok {
		ref.AccountName = name
	} else {
		r.mapping(n, at, []key{{"accountName", text(&ref.AccountName)}, {"namespaces", texts(&ref.Namespaces)}})
	}
	k.DockerRegistries = append(k.DockerRegistries, ref)
}

// Check says what can never work.
func (k Kubernetes) Check() error {
	if err := CheckName(k.Name); err != nil {
		return err
	}
	switch k.ProviderVersion {
	case "", "V1", "V2":
	default:
		return &FieldError{Field: "providerVersion", Msg: "want V2 (or V1, which Spinnaker takes for V2 since 1.21)"}
	}
	switch {
	case k.KubeconfigFile != "" && !k.Kubeconfig.IsZero():
		return &FieldError{Field: "kubeconfigFile", Msg: "is given beside kubeconfigContents; want one"}
	case k.ServiceAccount && (k.KubeconfigFile != "" || !k.Kubeconfig.IsZero()):
		return &FieldError{Field: "serviceAccount", Msg: "is given beside a kubeconfig; want one"}
	case !k.ServiceAccount && k.KubeconfigFile == "" && k.Kubeconfig.IsZero():
		return &FieldError{Field: "kubeconfigFile", Msg: "is missing; want the path of a kubeconfig, or serviceAccount: true for Spinnaker's own cluster"}
	case len(k.Namespaces) > 0 && len(k.OmitNamespaces) > 0:
		return &FieldError{Field: "omitNamespaces", Msg: "is given beside namespaces; want one"}
	case len(k.Kinds) > 0 && len(k.OmitKinds) > 0:
		return &FieldError{Field: "omitKinds", Msg: "is given beside kinds; want one"}
	}
	seen := map[string]bool{}
	for i, ref := range k.DockerRegistries {
		at := fmt.Sprintf("dockerRegistries[%d].accountName", i)
		if err := CheckName(ref.AccountName); err != nil {
			return &FieldError{Field: at, Msg: "want the name of an account of a docker registry, e.g. dockerhub"}
		}
		if seen[ref.AccountName] {
			return &FieldError{Field: at, Msg: fmt.Sprintf("%q is given twice", ref.AccountName)}
		}
		seen[ref.AccountName] = true
	}
	return nil
}

// Account returns the account without the kubeconfig, which Halyard and Gate
// want in different fields.
func (k Kubernetes) Account() Account {
	f := map[string]any{}
	setText(f, map[string]string{"providerVersion": k.ProviderVersion, "context": k.Context})
	setTrue(f, map[string]bool{
		"serviceAccount": k.ServiceAccount, "checkPermissionsOnStartup": k.CheckPermissionsOnStartup,
		"onlySpinnakerManaged": k.OnlySpinnakerManaged,
	})
	setLists(f, map[string][]string{
		"namespaces": k.Namespaces, "omitNamespaces": k.OmitNamespaces, "kinds": k.Kinds, "omitKinds": k.OmitKinds,
	})
	setNumbers(f, map[string]int64{"cacheThreads": k.CacheThreads})
	if len(k.DockerRegistries) > 0 {
		refs := make([]any, len(k.DockerRegistries))
		for i, ref := range k.DockerRegistries {
			fields := map[string]any{"accountName": ref.AccountName}
			setLists(fields, map[string][]string{"namespaces": ref.Namespaces})
			refs[i] = fields
		}
		f["dockerRegistries"] = refs
	}
	k.Permissions.addTo(f)
	return Account{Provider: KubernetesProvider, Name: k.Name, Fields: f}
}

// HalyardAccount returns the account for Halyard. Its daemon has two ways to
// take a kubeconfig: as a path on its own disk, or, with useRemoteDaemon: true
// in /opt/spinnaker/hal.properties, as content in the same field, which it
// puts into a file of its own (Node.java, stageLocalFiles). With content the
// kubeconfig's text is sent, else KubeconfigFile as it is.
func (k Kubernetes) HalyardAccount(content bool) Account {
	a := k.Account()
	if k.ProviderVersion == "V1" {
		// What it means since 1.21; Halyard would hold V1 to rules of then.
		a.Fields["providerVersion"] = "V2"
	}
	if k.ServiceAccount {
		return a
	}
	a.Fields["kubeconfigFile"] = k.KubeconfigFile
	if content {
		a.Fields["kubeconfigFile"] = k.Kubeconfig.Reveal()
	}
	return a
}

// GateAccount returns the account for Gate: clouddriver takes the text of the
// kubeconfig (KubernetesAccountProperties.java).
func (k Kubernetes) GateAccount() Account {
	a := k.Account()
	delete(a.Fields, "providerVersion") // gone since 1.23
	delete(a.Fields, "dockerRegistries")
	if !k.ServiceAccount {
		a.Fields["kubeconfigContents"] = k.Kubeconfig.Reveal()
	}
	return a
}
