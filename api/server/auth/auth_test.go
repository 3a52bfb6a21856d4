package auth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/internal/testutil"
)

const (
	annsToken = "anns-token-0123456789"
	bobsToken = "bobs-token-0123456789"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTokens follows a token file through its changes.
func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, "# the first\n\n"+annsToken+", ann, operator\n"+bobsToken+",bob,reader\n")
	var log testutil.Output
	tokens, err := auth.NewTokens(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	who := func(token string) (string, error) {
		id, err := tokens.Authenticate(t.Context(), auth.Credentials{Token: token})
		return id.User + "/" + string(id.Role), err
	}
	for token, want := range map[string]string{annsToken: "ann/operator", bobsToken: "bob/reader"} {
		if got, err := who(token); got != want || err != nil {
			t.Errorf("%s: %s, %v", want, got, err)
		}
	}
	if _, err := who(""); !errors.Is(err, auth.ErrNoCredentials) {
		t.Errorf("no token: %v", err)
	}
	if _, err := who(annsToken + "x"); !errors.Is(err, auth.ErrUnauthenticated) || strings.Contains(err.Error(), annsToken) {
		t.Errorf("a wrong token: %v", err)
	}

	write(t, path, "nonsense")
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		_, err := who(annsToken)
		return strings.Contains(log.String(), "1 fields") && err == nil, log.String()
	})
	write(t, path, bobsToken+",bob,operator")
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		_, gone := who(annsToken)
		got, _ := who(bobsToken)
		return errors.Is(gone, auth.ErrUnauthenticated) && got == "bob/operator", got
	})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		_, err := who(bobsToken)
		return strings.Contains(log.String(), "stays in force") && strings.Contains(log.String(), "no such file") && err == nil, log.String()
	})
	if strings.Contains(log.String(), "token-0123") {
		t.Errorf("a token is in the log:\n%s", log.String())
	}
}

func TestTokenFilesWithFaults(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "no tokens",
		"# only a comment\n":               "no tokens",
		"\n" + annsToken + ",ann":          ":2: 2 fields",
		annsToken + ",ann,reader,more":     ":1: 4 fields",
		"short,ann,reader":                 ":1: the token is shorter than 16",
		"spaces in the token it is,a,read": ":1: the token has characters",
		annsToken + ",,reader":             ":1: the user is empty",
		annsToken + ",ann,admin":           `:1: role "admin" is not reader or operator`,
		annsToken + ",ann,reader\n\n" + annsToken + ",bob,reader": ":3: the token of line 1 again",
	} {
		path := filepath.Join(t.TempDir(), "tokens")
		write(t, path, text)
		_, err := auth.NewTokens(path, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), annsToken) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestRoles(t *testing.T) {
	read, change := auth.Permission{Verb: auth.Get, Resource: "visibility"}, auth.Permission{Verb: auth.Update, Resource: "visibility"}
	for _, c := range []struct {
		role    auth.Role
		p       auth.Permission
		allowed bool
	}{
		{auth.Reader, read, true}, {auth.Reader, change, false},
		{auth.Operator, read, true}, {auth.Operator, change, true},
		{"", read, false}, {"admin", change, false},
	} {
		err := auth.Roles{}.Authorize(t.Context(), auth.Identity{User: "ann", Role: c.role}, c.p)
		if (err == nil) != c.allowed || err != nil && !errors.Is(err, auth.ErrDenied) {
			t.Errorf("%s, %s: %v", c.role, c.p, err)
		}
		if err != nil && !strings.Contains(err.Error(), c.p.String()) {
			t.Errorf("%v does not say what is missing", err)
		}
	}
}

func TestCertificates(t *testing.T) {
	first := auth.First{auth.Certificates{}}
	if _, err := first.Authenticate(t.Context(), auth.Credentials{Token: annsToken}); !errors.Is(err, auth.ErrNoCredentials) {
		t.Errorf("without a certificate: %v", err)
	}
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "clover-controller", Organization: []string{"clover"}}}
	who, err := first.Authenticate(t.Context(), auth.Credentials{Certificate: cert})
	if err != nil || who.User != "clover-controller" || who.Role != auth.Operator {
		t.Errorf("%+v, %v", who, err)
	}
	agents := auth.Certificates{Names: []string{"agent"}}
	if _, err := agents.Authenticate(t.Context(), auth.Credentials{Certificate: cert}); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("another name: %v", err)
	}
	if _, err := first.Authenticate(t.Context(), auth.Credentials{Certificate: &x509.Certificate{}}); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("without a name: %v", err)
	}
}
