package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/spinnaker"
)

// The providers that accounts can be created of, as nouns.
const (
	dockerNoun     = "docker-registry"
	kubernetesNoun = "kubernetes"
)

// maxSecret bounds a password from a file or standard input.
const maxSecret = 64 << 10

// provider groups what can be done with accounts of providers.
func (a *app) provider(short string, noun func(noun string) *cobra.Command) *cobra.Command {
	return verb("provider", short, noun(dockerNoun), noun(kubernetesNoun))
}

// accountFlags are those of create provider.
type accountFlags struct {
	file, name            string
	passwordStdin         bool
	context               string
	dryRun, skip, noReach bool
	halyardPath, wait     bool
}

func (a *app) createProvider() *cobra.Command {
	return a.provider("Add an account to Spinnaker", func(noun string) *cobra.Command {
		var f accountFlags
		file, keys := "docker.yml", "name, address, username, password, repositories"
		if noun == kubernetesNoun {
			file, keys = "kubernetes.yml", "name, kubeconfigFile, context, dockerRegistries"
		}
		c := &cobra.Command{
			Use: noun, Short: "Add a " + noun + " account to Spinnaker", Args: cobra.NoArgs,
			Example: fmt.Sprintf("  cloverctl create provider %[1]s -f %[2]s\n  cloverctl create provider %[1]s -f %[2]s --dry-run", noun, file),
			RunE:    func(c *cobra.Command, _ []string) error { return a.createAccount(c.Context(), noun, &f) },
		}
		flags := c.Flags()
		flags.StringVarP(&f.file, "filename", "f", "", "`file` with "+keys+"; - is standard input")
		flags.StringVarP(&f.name, "name", "n", "", "`name` of the account, instead of the file's")
		flags.BoolVar(&f.dryRun, "dry-run", false, "check everything and change nothing")
		waitFlag(c, &f.wait)
		flags.BoolVar(&f.skip, "skip-validation", false, "do not have Halyard check the account")
		if noun == dockerNoun {
			flags.BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from standard input")
		} else {
			flags.StringVar(&f.context, "account-context", "", "`context` of the kubeconfig to use, instead of the file's")
			flags.BoolVar(&f.halyardPath, "halyard-path", false, "kubeconfigFile is a path on Halyard's disk, and is not read here")
			flags.BoolVar(&f.noReach, "skip-reach", false, "do not ask the cluster for its version")
		}
		a.addOutput(c)
		return c
	})
}

func (a *app) createAccount(ctx context.Context, noun string, f *accountFlags) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	if f.file == "" {
		return usagef("create provider %s: -f FILE is needed", noun)
	}
	if f.passwordStdin && f.file == "-" {
		return usagef("both the file and the password from standard input; give one as a file")
	}
	data, err := a.readFile(f.file)
	if err != nil {
		return err
	}
	var account spinnaker.Account
	if noun == dockerNoun {
		account, err = a.registry(ctx, data, f)
	} else {
		account, err = a.kubernetesAccount(ctx, data, f)
	}
	if errors.Is(err, spinnaker.ErrInvalid) {
		return usagef("%s: %w", f.file, err)
	}
	if err != nil {
		return err
	}
	return a.sendAccount(ctx, p, noun, account, f)
}

func (a *app) sendAccount(ctx context.Context, p show.Printer, noun string, account spinnaker.Account, f *accountFlags) error {
	wire, err := account.Wire()
	if err != nil {
		return err
	}
	body := &structpb.Struct{}
	if err := protojson.Unmarshal(wire, body); err != nil {
		return err
	}
	query := url.Values{}
	if f.dryRun {
		query.Set("dry_run", "true")
	}
	if f.skip {
		query.Set("skip_validation", "true")
	}
	res := &deliveryv1.CreateAccountResponse{}
	if err := a.sendChange(ctx, &changeFlags{wait: f.wait}, "POST", withQuery("/providers/"+noun, query), body, res); err != nil {
		return err
	}
	if !p.ForPeople() {
		raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(res)
		if err != nil {
			return err
		}
		return p.Answer(raw, accountsTable([]*deliveryv1.Account{res.GetAccount()}))
	}
	fmt.Fprintln(a.Out, show.Clean(res.GetMessage()))
	for _, note := range res.GetNotes() {
		if !a.quiet {
			fmt.Fprintln(a.Err, "! "+show.Clean(note))
		}
	}
	return nil
}

// waitFlag is --wait of commands that change something in Spinnaker.
func waitFlag(c *cobra.Command, wait *bool) {
	c.Flags().BoolVar(wait, "wait", false, "wait up to --timeout for a Spinnaker that does not answer yet")
}

func withQuery(route string, query url.Values) string {
	if len(query) == 0 {
		return route
	}
	return route + "?" + query.Encode()
}

// registry reads the file of a registry's account and gets its password.
func (a *app) registry(ctx context.Context, data []byte, f *accountFlags) (spinnaker.Account, error) {
	d, err := spinnaker.ReadDockerRegistry(data)
	if err != nil {
		return spinnaker.Account{}, err
	}
	if f.name != "" {
		d.Name = f.name
	}
	var password []byte
	switch {
	case f.passwordStdin:
		if !d.Password.IsZero() || d.PasswordFile != "" || d.PasswordSecret != "" {
			return spinnaker.Account{}, usagef("--password-stdin, and the file has a password too; want one")
		}
		password, err = io.ReadAll(io.LimitReader(a.In, maxSecret+1))
	case d.PasswordFile != "":
		password, err = os.ReadFile(beside(f.file, d.PasswordFile))
	case d.PasswordSecret != "":
		password, err = a.secret(ctx, d.PasswordSecret)
	}
	if err != nil {
		return spinnaker.Account{}, err
	}
	if len(password) > maxSecret {
		return spinnaker.Account{}, usagef("a password of more than %d bytes", maxSecret)
	}
	if password != nil {
		// Editors end files with a line end that is not part of the password.
		d.Password = spinnaker.NewSecret(strings.TrimRight(string(password), "\r\n"))
	}
	d.PasswordFile, d.PasswordSecret = "", ""
	return d.Account(), d.Check()
}

// secret reads a key of a secret of the cluster that cloverctl is connected to.
func (a *app) secret(ctx context.Context, path string) ([]byte, error) {
	parts := strings.Split(path, "/") // three, as Check has seen
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	s, err := c.Typed().CoreV1().Secrets(parts[0]).Get(ctx, parts[1], metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	value, ok := s.Data[parts[2]]
	if !ok {
		return nil, usagef("passwordSecret: secret %s/%s has no key %s", parts[0], parts[1], parts[2])
	}
	return value, nil
}

// beside returns a path that a file names, relative to that file.
func beside(file, path string) string {
	if filepath.IsAbs(path) || file == "-" {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// kubernetesAccount reads the file of a cluster's account and its kubeconfig,
// and asks the cluster.
func (a *app) kubernetesAccount(ctx context.Context, data []byte, f *accountFlags) (spinnaker.Account, error) {
	k, err := spinnaker.ReadKubernetes(data)
	if err != nil {
		return spinnaker.Account{}, err
	}
	if f.name != "" {
		k.Name = f.name
	}
	if f.context != "" {
		k.Context = f.context
	}
	if err := k.Check(); err != nil || k.ServiceAccount {
		return k.Account(), err
	}
	if f.halyardPath {
		account := k.Account()
		account.Fields["kubeconfigFile"] = k.KubeconfigFile
		return account, nil
	}
	text := []byte(k.Kubeconfig.Reveal())
	if k.KubeconfigFile != "" {
		k.KubeconfigFile = beside(f.file, k.KubeconfigFile)
		if text, err = os.ReadFile(k.KubeconfigFile); err != nil {
			return spinnaker.Account{}, usageError{err}
		}
	}
	config, err := spinnaker.ReadKubeconfig(text)
	if err != nil {
		return spinnaker.Account{}, err
	}
	if err := config.Flatten(filepath.Dir(k.KubeconfigFile), os.ReadFile); err != nil {
		return spinnaker.Account{}, usageError{err}
	}
	if err := a.reach(ctx, config, k.Context, f.noReach); err != nil {
		return spinnaker.Account{}, err
	}
	small, err := config.Minify(k.Context)
	account := k.Account()
	account.Fields["kubeconfigContents"] = small.Reveal()
	return account, err
}

// reach asks the cluster of a kubeconfig, and says what it found.
func (a *app) reach(ctx context.Context, config *spinnaker.Kubeconfig, name string, skip bool) error {
	c, err := config.Context(name)
	if err != nil || skip {
		return err
	}
	version, err := config.Reach(ctx, name)
	switch {
	case errors.Is(err, spinnaker.ErrUnsupported):
		fmt.Fprintln(a.Err, "! the cluster was not asked: "+show.Clean(err.Error()))
		return nil
	case err != nil:
		return fmt.Errorf("the kubeconfig's context %s does not work: %w\nTo create the account all the same, add --skip-reach", c.Name, err)
	}
	if !a.quiet {
		fmt.Fprintf(a.Err, "context %s: %s, Kubernetes %s\n", show.Clean(c.Name), show.Clean(c.Server), show.Clean(version))
	}
	return nil
}

func (a *app) getProvider() *cobra.Command {
	return a.provider("Show accounts of Spinnaker", func(noun string) *cobra.Command {
		var name string
		c := &cobra.Command{
			Use: noun, Short: "Show the " + noun + " accounts of Spinnaker, without secrets", Args: cobra.NoArgs,
			Example: fmt.Sprintf("  cloverctl get provider %[1]s\n  cloverctl get provider %[1]s -n my-account -o yaml", noun),
			RunE: func(c *cobra.Command, _ []string) error {
				if name != "" {
					return answer(c.Context(), a, "/providers/"+noun+"/"+url.PathEscape(name), nil, &deliveryv1.GetAccountResponse{},
						func(res *deliveryv1.GetAccountResponse) show.Table {
							return accountsTable([]*deliveryv1.Account{res.GetAccount()})
						})
				}
				return answer(c.Context(), a, "/providers/"+noun, nil, &deliveryv1.ListAccountsResponse{},
					func(res *deliveryv1.ListAccountsResponse) show.Table { return accountsTable(res.GetAccounts()) })
			},
		}
		c.Flags().StringVarP(&name, "name", "n", "", "`name` of the only account to show")
		a.addOutput(c)
		return c
	})
}

// accountsTable shows accounts of one provider.
func accountsTable(accounts []*deliveryv1.Account) show.Table {
	keys := []string{"address", "username", "repositories"}
	t := show.Table{Columns: []string{"name", "address", "username", "repositories"}}
	if len(accounts) > 0 && accounts[0].GetProvider() == kubernetesNoun {
		keys = []string{"providerVersion", "context", "dockerRegistries", "kubeconfigFile", "namespaces"}
		t = show.Table{Columns: []string{"name", "version", "context", "registries", "kubeconfig", "namespaces"}, Wide: 4}
	}
	for _, acc := range accounts {
		fields, row := acc.GetFields().AsMap(), []any{acc.GetName()}
		for _, key := range keys {
			row = append(row, words(fields[key]))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// words returns a JSON value for a cell.
func words(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		var list []string
		for _, item := range v {
			list = append(list, words(item))
		}
		return strings.Join(list, ",")
	case map[string]any:
		if name, ok := v["accountName"].(string); ok {
			return name
		}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}

func (a *app) deleteProvider() *cobra.Command {
	return a.provider("Delete an account of Spinnaker", func(noun string) *cobra.Command {
		var name string
		var dryRun, wait bool
		c := &cobra.Command{
			Use: noun, Short: "Delete a " + noun + " account of Spinnaker", Args: cobra.NoArgs,
			Example: fmt.Sprintf("  cloverctl delete provider %s -n my-account", noun),
			RunE: func(c *cobra.Command, _ []string) error {
				if name == "" {
					return usagef("delete provider %s: -n NAME is needed", noun)
				}
				query := url.Values{}
				if dryRun {
					query.Set("dry_run", "true")
				}
				res := &deliveryv1.DeleteAccountResponse{}
				err := a.sendChange(c.Context(), &changeFlags{wait: wait}, "DELETE", withQuery("/providers/"+noun+"/"+url.PathEscape(name), query), &deliveryv1.DeleteAccountRequest{}, res)
				if err != nil {
					return err
				}
				fmt.Fprintln(a.Out, show.Clean(res.GetMessage()))
				return nil
			},
		}
		c.Flags().StringVarP(&name, "name", "n", "", "`name` of the account")
		waitFlag(c, &wait)
		c.Flags().BoolVar(&dryRun, "dry-run", false, "see whether it is there, and change nothing")
		return c
	})
}
