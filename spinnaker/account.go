package spinnaker

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// The providers with typed files, as Halyard and clouddriver spell them.
const (
	DockerRegistryProvider = "dockerRegistry"
	KubernetesProvider     = "kubernetes"
)

// NamePattern is what the names of accounts must match. It is Halyard's, in
// DockerRegistryAccountValidator.java; the names become parts of the names of
// Kubernetes objects.
const NamePattern = `^[a-z0-9]+([-a-z0-9]*[a-z0-9])?$`

// maxNameBytes is the length of a DNS label, which such a name becomes.
const maxNameBytes = 63

var namePattern = regexp.MustCompile(NamePattern)

// CheckName says whether an account may be called so.
func CheckName(name string) error {
	if len(name) > maxNameBytes || !namePattern.MatchString(name) {
		return &FieldError{Field: "name", Msg: fmt.Sprintf("%q; want %s, at most %d characters: lower-case letters, digits and dashes, e.g. my-kubernetes", clip(name), NamePattern, maxNameBytes)}
	}
	return nil
}

// Account is an account of any provider, with the fields that the server
// knows, secrets too. It prints and encodes without them; Wire has them.
type Account struct {
	// Provider is e.g. KubernetesProvider.
	Provider string
	// Name is unique among the accounts of an installation.
	Name string
	// Fields are all others, as decoded from JSON.
	Fields map[string]any
}

// DecodeAccount reads an account from the JSON that a server sent.
func DecodeAccount(provider string, data []byte) (Account, error) {
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		// The cause is not shown: it may quote what it could not read.
		return Account{}, errors.New("an account that is no JSON object")
	}
	name, ok := fields["name"].(string)
	if !ok || name == "" {
		return Account{}, errors.New("an account without a name")
	}
	delete(fields, "name")
	return Account{Provider: provider, Name: name, Fields: fields}, nil
}

// Wire returns the account as JSON, secrets included, to be sent.
func (a Account) Wire() ([]byte, error) { return json.Marshal(a.all()) }

// MarshalJSON encodes the account without its secrets.
func (a Account) MarshalJSON() ([]byte, error) { return json.Marshal(Redact("", a.all())) }

// String returns "PROVIDER/NAME".
func (a Account) String() string { return a.Provider + "/" + a.Name }

// GoString is String, so that %#v shows no secret.
func (a Account) GoString() string { return a.String() }

// LogValue is String, for slog.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

func (a Account) all() map[string]any {
	all := make(map[string]any, len(a.Fields)+1)
	for k, v := range a.Fields {
		all[k] = v
	}
	all["name"] = a.Name
	return all
}

// Redacted returns the account without its secrets.
func (a Account) Redacted() Account {
	a.Fields, _ = Redact("", a.Fields).(map[string]any)
	return a
}

// clip bounds what a message quotes of foreign input.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
