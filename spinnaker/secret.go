package spinnaker

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
)

// Hidden is what is shown in place of a secret.
const Hidden = "[hidden]"

// Secret is a value that neither prints, nor logs, nor encodes. Reveal is the
// only way to it.
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the value.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.value == "" }

// String returns Hidden, or "" where there is no value.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return Hidden
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes String.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalYAML encodes String.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// secretWords are the parts of names by which a field holds a secret: those
// of the fields that Halyard marks with @Secret.
var secretWords = []string{
	"password", "passphrase", "secret", "token", "apikey", "appkey", "applicationkey", "accountkey", "secretkey", "accesskey",
	"privatekey", "kubeconfigcontents", "credential", "jsonkey", "authorization",
}

// notSecret are fields whose names have such a word and which say where a
// secret is, or are references.
var notSecret = map[string]bool{
	"passwordfile": true, "tokenfile": true, "usernamepasswordfile": true, "accesstokenuri": true, "credentials": true,
}

// isSecretField reports whether a field of that name holds a secret.
func isSecretField(name string) bool {
	name = strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
	if notSecret[name] {
		return false
	}
	for _, w := range secretWords {
		if strings.Contains(name, w) {
			return true
		}
	}
	return false
}

// Redact returns a copy of a decoded JSON value without its secrets: fields
// that are secret by name, files that are sent as content, and passwords in
// URLs. name is that of the field the value is in.
func Redact(name string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, field := range v {
			out[k] = Redact(k, field)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = Redact(name, item)
		}
		return out
	case nil, bool:
		return v
	case string:
		return redactText(name, v)
	default:
		if isSecretField(name) {
			return Hidden
		}
		return v
	}
}

func redactText(name, v string) string {
	switch {
	case v == "":
		return v
	case isSecretField(name):
		return Hidden
	case strings.HasSuffix(strings.ToLower(name), "file") && strings.Contains(v, "\n"):
		return Hidden // a daemon that takes content instead of paths
	}
	if u, err := url.Parse(v); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return v
}

// minSecretBytes is the shortest value that Hide looks for: a shorter one
// would be found in every word.
const minSecretBytes = 3

// Hide returns a function that puts Hidden in the place of the account's
// secrets in a text, for servers that quote what they were sent.
func (a Account) Hide() func(string) string {
	var pairs []string
	for _, s := range secretsIn("", a.Fields) {
		if len(s) >= minSecretBytes {
			pairs = append(pairs, s, Hidden)
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

// secretsIn lists the values that Redact takes out. Of files that are sent as
// content it lists the value on each line too, which may be quoted alone.
func secretsIn(name string, value any) []string {
	var found []string
	switch v := value.(type) {
	case map[string]any:
		for k, field := range v {
			found = append(found, secretsIn(k, field)...)
		}
	case []any:
		for _, item := range v {
			found = append(found, secretsIn(name, item)...)
		}
	case string:
		switch redactText(name, v) {
		case v:
		case Hidden:
			found = append(found, v)
			const minLineBytes = 16 // longer than what is no secret there, as a rule
			for line := range strings.Lines(v) {
				_, field, _ := strings.Cut(strings.TrimSpace(line), ": ")
				if len(field) >= minLineBytes {
					found = append(found, field)
				}
			}
		default: // an address with a password
			if u, err := url.Parse(v); err == nil {
				password, _ := u.User.Password()
				found = append(found, password)
			}
		}
	}
	return found
}
