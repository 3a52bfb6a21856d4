package delivery

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	"github.com/opnfv/clover/spinnaker"
)

// store is who keeps accounts.
type store interface {
	list(ctx context.Context, provider string) ([]spinnaker.Account, error)
	add(ctx context.Context, a spinnaker.Account, check bool) error
	remove(ctx context.Context, provider, name string) error
	// kubernetes returns an account with its kubeconfig where the store wants
	// it.
	kubernetes(k spinnaker.Kubernetes) spinnaker.Account
	name() string
}

type inHalyard struct{ s *Service }

func (h inHalyard) name() string { return "halyard" }

func (h inHalyard) list(ctx context.Context, provider string) ([]spinnaker.Account, error) {
	return h.s.halyard.Accounts(ctx, provider)
}

func (h inHalyard) add(ctx context.Context, a spinnaker.Account, check bool) error {
	if !check {
		return h.s.quick.AddAccount(ctx, a)
	}
	return h.s.halyard.AddAccount(ctx, a)
}

func (h inHalyard) remove(ctx context.Context, provider, name string) error {
	return h.s.halyard.DeleteAccount(ctx, provider, name)
}

func (h inHalyard) kubernetes(k spinnaker.Kubernetes) spinnaker.Account {
	return k.HalyardAccount(!k.Kubeconfig.IsZero())
}

type inGate struct{ s *Service }

func (g inGate) name() string { return "gate" }

func (g inGate) list(ctx context.Context, provider string) ([]spinnaker.Account, error) {
	return g.s.gate.AccountDefinitions(ctx, provider)
}

func (g inGate) add(ctx context.Context, a spinnaker.Account, _ bool) error {
	return g.s.gate.AddAccount(ctx, a)
}

func (g inGate) remove(ctx context.Context, provider, name string) error {
	return g.s.gate.DeleteAccount(ctx, provider, name)
}

func (g inGate) kubernetes(k spinnaker.Kubernetes) spinnaker.Account { return k.GateAccount() }

// healthTimeout bounds the question whether there is a Halyard.
const healthTimeout = 5 * time.Second

// store returns who keeps accounts: Halyard, or Gate where there is none.
func (s *Service) store(ctx context.Context) (store, error) {
	switch {
	case s.halyard != nil && (s.gate == nil || !s.noHalyard(ctx)):
		return inHalyard{s}, nil
	case s.gate != nil:
		return inGate{s}, nil
	}
	return nil, status.Error(codes.FailedPrecondition, "the controller knows no Spinnaker; start it with --halyard URL or --gate URL")
}

// noHalyard reports whether Halyard's name does not exist, as in an
// installation without it. One that does not answer is there all the same: its
// accounts are not to be kept in two places.
func (s *Service) noHalyard(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	var unknown *net.DNSError
	return errors.As(s.halyard.Health(ctx), &unknown) && unknown.IsNotFound
}

// ask returns who keeps the accounts of a provider, and its name there.
func (s *Service) ask(ctx context.Context, name string) (store, string, error) {
	p, err := provider(name)
	if err != nil {
		return nil, "", err
	}
	st, err := s.store(ctx)
	return st, p, err
}

func message(a spinnaker.Account) (*deliveryv1.Account, error) {
	fields, err := toStruct(spinnaker.Redact("", a.Fields))
	if err != nil {
		return nil, status.Errorf(codes.Internal, "account %s cannot be shown: %v", a.Name, err)
	}
	return &deliveryv1.Account{Provider: spoken(a.Provider), Name: a.Name, Fields: fields}, nil
}

// ListAccounts implements deliveryv1.DeliveryServiceServer.
func (s *Service) ListAccounts(ctx context.Context, r *deliveryv1.ListAccountsRequest) (*deliveryv1.ListAccountsResponse, error) {
	st, p, err := s.ask(ctx, r.GetProvider())
	if err != nil {
		return nil, err
	}
	all, err := st.list(ctx, p)
	if err != nil {
		return nil, asStatus(err)
	}
	res := &deliveryv1.ListAccountsResponse{Source: st.name()}
	for _, a := range all {
		m, err := message(a)
		if err != nil {
			return nil, err
		}
		res.Accounts = append(res.Accounts, m)
	}
	return res, nil
}

// GetAccount implements deliveryv1.DeliveryServiceServer.
func (s *Service) GetAccount(ctx context.Context, r *deliveryv1.GetAccountRequest) (*deliveryv1.GetAccountResponse, error) {
	st, p, err := s.ask(ctx, r.GetProvider())
	if err != nil {
		return nil, err
	}
	a, err := one(ctx, st, p, r.GetName())
	if err != nil {
		return nil, err
	}
	m, err := message(a)
	return &deliveryv1.GetAccountResponse{Account: m}, err
}

// one returns an account by its name.
func one(ctx context.Context, st store, provider, name string) (spinnaker.Account, error) {
	all, err := st.list(ctx, provider)
	if err != nil {
		return spinnaker.Account{}, asStatus(err)
	}
	for _, a := range all {
		if a.Name == name {
			return a, nil
		}
	}
	return spinnaker.Account{}, status.Errorf(codes.NotFound, "there is no %s account %q; get provider %s lists them", spoken(provider), name, spoken(provider))
}

// CreateAccount implements deliveryv1.DeliveryServiceServer.
func (s *Service) CreateAccount(ctx context.Context, r *deliveryv1.CreateAccountRequest) (*deliveryv1.CreateAccountResponse, error) {
	st, p, err := s.ask(ctx, r.GetProvider())
	if err != nil {
		return nil, err
	}
	a, notes, err := s.read(st, p, r)
	if err != nil {
		return nil, asStatus(err)
	}
	have, err := st.list(ctx, p)
	if err != nil {
		return nil, asStatus(err)
	}
	for _, other := range have {
		if other.Name == a.Name {
			return nil, status.Errorf(codes.AlreadyExists, "there is a %s account %q already; delete it first, or choose another name", spoken(p), a.Name)
		}
	}
	done := "Created"
	if r.GetDryRun() {
		done = "Would create"
	} else if err := st.add(ctx, a, !r.GetSkipValidation()); err != nil {
		return nil, asStatus(err)
	}
	if st.name() == "halyard" && !r.GetDryRun() {
		notes = append(notes, "Halyard keeps it; Spinnaker has it after the next deployment (hal deploy apply)")
	}
	m, err := message(a)
	return &deliveryv1.CreateAccountResponse{Message: done + " " + spoken(p) + " account " + a.Name, Notes: notes, Account: m}, err
}

// read makes an account of what was sent.
func (s *Service) read(st store, provider string, r *deliveryv1.CreateAccountRequest) (spinnaker.Account, []string, error) {
	data, err := fromStruct(r.GetAccount())
	if err != nil {
		return spinnaker.Account{}, nil, err
	}
	switch provider {
	case spinnaker.DockerRegistryProvider:
		d, err := spinnaker.ReadDockerRegistry(data)
		if err == nil && (d.PasswordFile != "" || d.PasswordSecret != "") {
			err = &spinnaker.FieldError{Field: "password", Msg: "passwordFile and passwordSecret are read by cloverctl; send the password itself"}
		}
		return d.Account(), nil, err
	case spinnaker.KubernetesProvider:
		k, err := spinnaker.ReadKubernetes(data)
		if err != nil {
			return spinnaker.Account{}, nil, err
		}
		notes, err := s.checkKubernetes(st, &k)
		return st.kubernetes(k), notes, err
	}
	return spinnaker.Account{}, nil, status.Errorf(codes.Unimplemented, "accounts of %s cannot be created here; want docker-registry or kubernetes", provider)
}

// checkKubernetes checks a kubeconfig and cuts it down to its context.
func (s *Service) checkKubernetes(st store, k *spinnaker.Kubernetes) (notes []string, err error) {
	if k.ProviderVersion == "V1" {
		notes = append(notes, "providerVersion V1 is V2 since Spinnaker 1.21")
	}
	paths := s.opts.KubeconfigPaths && st.name() == "halyard"
	switch {
	case k.ServiceAccount:
		return notes, nil
	case paths && k.KubeconfigFile == "":
		return nil, &spinnaker.FieldError{Field: "kubeconfigContents", Msg: "this Halyard takes kubeconfigs as paths on its own disk: put the file there and send kubeconfigFile (cloverctl: --halyard-path)"}
	case paths:
		return append(notes, "the kubeconfig is a file on Halyard's disk, which was not checked"), nil
	case k.Kubeconfig.IsZero():
		return nil, &spinnaker.FieldError{Field: "kubeconfigContents", Msg: "is missing: send the text of the kubeconfig, as cloverctl does; a path means nothing here"}
	}
	config, err := spinnaker.ReadKubeconfig([]byte(k.Kubeconfig.Reveal()))
	if err != nil {
		return nil, err
	}
	c, err := config.Context(k.Context)
	if err != nil {
		return nil, err
	}
	if len(c.Files) > 0 {
		return nil, &spinnaker.FieldError{Field: "kubeconfigContents", Msg: strings.Join(c.Files, ", ") + ": names a file, which would be one of Spinnaker's pods; put its content there (kubectl config view --flatten)"}
	}
	if c.RunsProgram() && !s.opts.AllowExec {
		return nil, &spinnaker.FieldError{Field: "kubeconfigContents", Msg: "its credentials come from a " + c.Auth + ", which Spinnaker's pods would run; use a token or a certificate, or allow it with --allow-exec-kubeconfig"}
	}
	if k.Kubeconfig, err = config.Minify(k.Context); err != nil {
		return nil, err
	}
	k.Context = c.Name
	return append(notes, c.Notes...), nil
}

// DeleteAccount implements deliveryv1.DeliveryServiceServer.
func (s *Service) DeleteAccount(ctx context.Context, r *deliveryv1.DeleteAccountRequest) (*deliveryv1.DeleteAccountResponse, error) {
	st, p, err := s.ask(ctx, r.GetProvider())
	if err != nil {
		return nil, err
	}
	if _, err := one(ctx, st, p, r.GetName()); err != nil {
		return nil, err
	}
	done := "Deleted"
	if r.GetDryRun() {
		done = "Would delete"
	} else if err := st.remove(ctx, p, r.GetName()); err != nil {
		return nil, asStatus(err)
	}
	return &deliveryv1.DeleteAccountResponse{Message: done + " " + spoken(p) + " account " + r.GetName()}, nil
}
