package spinnaker

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// DockerRegistry is the file of an account of a docker registry. Zero values
// are left to the server.
type DockerRegistry struct {
	// Name matches NamePattern.
	Name string
	// Address is a URL; without a scheme it is https.
	Address string
	// Username and Password; both empty for public images.
	Username string
	Password Secret
	// PasswordFile is a file with the password on the machine of the person
	// who asks, and PasswordSecret a Kubernetes secret as NAMESPACE/NAME/KEY.
	// The reader of the account puts their content into Password.
	PasswordFile, PasswordSecret string
	// Email of the user, which some registries want.
	Email string
	// Repositories to index, e.g. opnfv/clover; empty: the registry's
	// catalogue.
	Repositories []string
	// RepositoriesRegex is a filter of the catalogue, in Java's syntax.
	RepositoriesRegex string
	// CacheIntervalSeconds between two looks at the registry, CacheThreads
	// that look, ClientTimeoutMillis for one answer, PaginateSize of an answer.
	CacheIntervalSeconds, CacheThreads, ClientTimeoutMillis, PaginateSize int64
	SortTagsByDate, TrackDigests, InsecureRegistry                        bool
	Permissions                                                           Permissions
}

// Permissions are the roles that may read and change what an account holds.
// Empty: everybody.
type Permissions struct{ Read, Write, Execute []string }

func (p *Permissions) read(r *reader, n ast.Node, at string) {
	r.mapping(n, at, []key{{"READ", texts(&p.Read)}, {"WRITE", texts(&p.Write)}, {"EXECUTE", texts(&p.Execute)}})
}

func (p Permissions) addTo(fields map[string]any) {
	all := map[string]any{}
	for name, roles := range map[string][]string{"READ": p.Read, "WRITE": p.Write, "EXECUTE": p.Execute} {
		if len(roles) > 0 {
			all[name] = roles
		}
	}
	if len(all) > 0 {
		fields["permissions"] = all
	}
}

// ReadDockerRegistry reads the file of an account, YAML or JSON. Values may be
// strings or numbers. Faults are FieldErrors, joined; they quote no value.
func ReadDockerRegistry(data []byte) (DockerRegistry, error) {
	var d DockerRegistry
	err := readFile(data, []key{
		{"name", text(&d.Name)}, {"address", text(&d.Address)}, {"username", text(&d.Username)},
		{"password", secret(&d.Password)}, {"passwordFile", text(&d.PasswordFile)}, {"passwordSecret", text(&d.PasswordSecret)},
		{"email", text(&d.Email)}, {"repositories", texts(&d.Repositories)}, {"repositoriesRegex", text(&d.RepositoriesRegex)},
		{"cacheIntervalSeconds", number(&d.CacheIntervalSeconds, 1)}, {"cacheThreads", number(&d.CacheThreads, 1)},
		{"clientTimeoutMillis", number(&d.ClientTimeoutMillis, 1)}, {"paginateSize", number(&d.PaginateSize, 1)},
		{"sortTagsByDate", truth(&d.SortTagsByDate)}, {"trackDigests", truth(&d.TrackDigests)},
		{"insecureRegistry", truth(&d.InsecureRegistry)}, {"permissions", d.Permissions.read},
	})
	if err != nil {
		return DockerRegistry{}, err
	}
	return d, d.Check()
}

// repository is the name of a repository in a registry: the grammar of the
// OCI distribution specification 1.1, "Pulling manifests".
var repository = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

// Check says what can never work.
func (d DockerRegistry) Check() error {
	if err := CheckName(d.Name); err != nil {
		return err
	}
	if err := checkAddress(d.Address); err != nil {
		return err
	}
	sources := 0
	for _, given := range []bool{!d.Password.IsZero(), d.PasswordFile != "", d.PasswordSecret != ""} {
		if given {
			sources++
		}
	}
	switch {
	case sources > 1:
		return &FieldError{Field: "password", Msg: "more than one of password, passwordFile and passwordSecret; want one"}
	case sources == 1 && d.Username == "":
		return &FieldError{Field: "username", Msg: "a password without a username; give both, or none for public images"}
	case d.PasswordSecret != "" && strings.Count(d.PasswordSecret, "/") != 2:
		return &FieldError{Field: "passwordSecret", Msg: "want NAMESPACE/NAME/KEY"}
	}
	for i, r := range d.Repositories {
		if !repository.MatchString(r) {
			return &FieldError{Field: fmt.Sprintf("repositories[%d]", i), Msg: fmt.Sprintf("%q; want a repository without registry and tag, e.g. opnfv/clover", clip(r))}
		}
	}
	return nil
}

func checkAddress(address string) error {
	want := &FieldError{Field: "address", Msg: "want the registry's address, e.g. https://registry.example, without user, password, query"}
	if address == "" {
		return want
	}
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return want
	}
	return nil
}

// Account returns the account as the servers know it.
func (d DockerRegistry) Account() Account {
	f := map[string]any{"address": d.Address}
	setText(f, map[string]string{
		"username": d.Username, "password": d.Password.Reveal(), "email": d.Email, "repositoriesRegex": d.RepositoriesRegex,
	})
	setNumbers(f, map[string]int64{
		"cacheIntervalSeconds": d.CacheIntervalSeconds, "cacheThreads": d.CacheThreads,
		"clientTimeoutMillis": d.ClientTimeoutMillis, "paginateSize": d.PaginateSize,
	})
	setTrue(f, map[string]bool{"sortTagsByDate": d.SortTagsByDate, "trackDigests": d.TrackDigests, "insecureRegistry": d.InsecureRegistry})
	setLists(f, map[string][]string{"repositories": d.Repositories})
	d.Permissions.addTo(f)
	return Account{Provider: DockerRegistryProvider, Name: d.Name, Fields: f}
}

func setText(f map[string]any, values map[string]string) {
	for k, v := range values {
		if v != "" {
			f[k] = v
		}
	}
}

func setNumbers(f map[string]any, values map[string]int64) {
	for k, v := range values {
		if v != 0 {
			f[k] = v
		}
	}
}

func setTrue(f map[string]any, values map[string]bool) {
	for k, v := range values {
		if v {
			f[k] = v
		}
	}
}

func setLists(f map[string]any, values map[string][]string) {
	for k, v := range values {
		if len(v) > 0 {
			f[k] = v
		}
	}
}
