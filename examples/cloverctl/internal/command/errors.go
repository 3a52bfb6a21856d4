package command

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
	"github.com/opnfv/clover/examples/cloverctl/internal/locate"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/visibility"
)

// printError prints an error. Its text may hold what the mesh has sent, so that
// nothing but its lines is left to the terminal. A silentError is not printed.
func (a *app) printError(err error) {
	if errors.As(err, new(silentError)) {
		return
	}
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = a.named(show.Clean(line))
	}
	fmt.Fprintf(a.Err, "%s: %s\n", a.Program, strings.Join(lines, "\n"))
}

// silentError is an exit code without words: the output says it all.
type silentError struct{ code int }

func (e silentError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// usageError is a fault of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// explain lets an error say what to do, where that is known here only.
func explain(err error) error {
	var unreachable *client.UnreachableError
	var st *client.StatusError
	switch {
	case errors.As(err, &unreachable):
		return explainUnreachable(err, unreachable)
	case errors.As(err, &st) && st.Code == codes.Unauthenticated:
		return fmt.Errorf("%w\nGive a token with --token-file, or leave --controller away: then cloverctl finds the controller through the Kubernetes API and gets a token there", err)
	case errors.As(err, &st) && st.Code == codes.PermissionDenied:
		return fmt.Errorf("%w\nThe token's account lacks the right: ask an administrator for the ClusterRole clover-operator", err)
	}
	return kube.Explain(err)
}

// explainUnreachable prefers what keeps the way to the controller shut.
func explainUnreachable(err error, unreachable *client.UnreachableError) error {
	var denied *kube.DeniedError
	var server *kube.UnreachableError
	var cut *locate.NotReadyError
	switch {
	case errors.As(err, &cut):
		return cut // without the request that failed for it
	case errors.As(err, &denied), errors.As(err, &server):
		return unreachable.Err
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Errorf("%w\nName the CA of its certificate with --ca-file", err)
	}
	return err
}

func exitCode(err error) int {
	var silent silentError
	var st *client.StatusError
	switch {
	case errors.As(err, &silent):
		return silent.code
	case unreachable(err):
		return exitUnreachable
	case errors.As(err, &st):
		switch st.Code {
		case codes.InvalidArgument:
			return exitUsage
		case codes.NotFound:
			return exitNotFound
		case codes.Unavailable:
			return exitUnreachable
		}
		return exitFailure
	case wrong(err):
		return exitUsage
	}
	return exitFailure
}

// unreachable reports whether somebody does not answer.
func unreachable(err error) bool {
	var controller *client.UnreachableError
	var server *kube.UnreachableError
	var cut *locate.NotReadyError
	return errors.As(err, &controller) || errors.As(err, &server) || errors.As(err, &cut) ||
		errors.Is(err, locate.ErrNotInstalled) || errors.Is(err, kube.ErrNoCluster)
}

// wrong reports whether the user has to mend the command line or a file.
func wrong(err error) bool {
	var context *kube.UnknownContextError
	var config *kube.ConfigError
	var values *deploy.ValuesError
	return errors.As(err, new(usageError)) || errors.Is(err, visibility.ErrInvalid) ||
		errors.As(err, &context) || errors.As(err, &config) || errors.As(err, &values)
}
