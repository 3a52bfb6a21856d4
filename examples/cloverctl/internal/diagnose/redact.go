package diagnose

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// removed stands for what a report must not hold.
const removed = "REMOVED"

// secretName is how names of secret values look.
var secretName = regexp.MustCompile(`(?i)(token|passw|secret|credential|api[-_]?key|private[-_]?key|auth)`)

// secretText are secrets inside of texts, with what is kept of them.
var secretText = []struct {
	find *regexp.Regexp
	keep string
}{
	{regexp.MustCompile(`eyJ[\w-]{8,}\.[\w-]+\.[\w-]*`), removed},                  // a JSON Web Token
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}`), "$1 " + removed}, // an Authorization header
	{regexp.MustCompile(`(\w://)[^/\s:@"]*:[^/\s@"]*@`), "$1" + removed + "@"},     // a password in a URL
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), removed},
	{regexp.MustCompile(`(?i)((?:token|passw(?:or)?d|secret|api[-_]?key)"?\s*[=:]\s*"?)[^\s"',&]+`), "${1}" + removed},
}

// Text removes what looks like a secret from a text.
func Text(s string) string {
	for _, t := range secretText {
		s = t.find.ReplaceAllString(s, t.keep)
	}
	return s
}

// Object removes from an object what may be secret: the data of Secrets, the
// values of environment variables and arguments that are named like one, and
// copies of the whole in annotations.
func Object(u *unstructured.Unstructured) {
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	if u.GetKind() == "Secret" {
		for _, field := range []string{"data", "stringData"} {
			data, ok := u.Object[field].(map[string]any)
			for key, value := range data {
				data[key] = fmt.Sprintf("%s (%d bytes encoded)", removed, len(fmt.Sprint(value)))
			}
			if ok {
				u.Object[field] = data
			}
		}
	}
	if a := u.GetAnnotations(); a != nil {
		delete(a, "kubectl.kubernetes.io/last-applied-configuration")
		u.SetAnnotations(a)
	}
	u.Object = clean("", u.Object).(map[string]any)
}

// clean removes secrets from a value of an object; name is its field's.
func clean(name string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		env, isEnv := v["name"].(string)
		if _, given := v["value"]; isEnv && given && secretName.MatchString(env) {
			v["value"] = removed
		}
		for key, part := range v {
			v[key] = clean(key, part)
		}
		return v
	case []any:
		for i := range v {
			v[i] = clean(name, v[i])
			if name == "args" || name == "command" {
				v[i] = argument(v, i)
			}
		}
		return v
	case string:
		return Text(v)
	}
	return value
}

// argument removes the value of a flag that is named like a secret, whether
// it stands behind "=" or in the next argument. Flags for files are kept.
func argument(args []any, i int) any {
	text, ok := args[i].(string)
	if !ok {
		return args[i]
	}
	secret := func(flag string) bool {
		return strings.HasPrefix(flag, "-") && secretName.MatchString(flag) && !strings.HasSuffix(flag, "file") && flag != "--auth"
	}
	if flag, _, given := strings.Cut(text, "="); given && secret(flag) {
		return flag + "=" + removed
	}
	if i > 0 && !strings.HasPrefix(text, "-") {
		if before, ok := args[i-1].(string); ok && !strings.Contains(before, "=") && secret(before) {
			return removed
		}
	}
	return text
}
