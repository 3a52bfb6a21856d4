package halyard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/internal/rest"
)

// Provider is what the daemon keeps of a provider.
type Provider struct {
	Enabled        bool
	PrimaryAccount string
	Accounts       []spinnaker.Account
}

// Provider returns a provider with its accounts; name is e.g.
// spinnaker.KubernetesProvider.
func (c *Client) Provider(ctx context.Context, name string) (Provider, error) {
	var raw struct {
		Enabled        bool              `json:"enabled"`
		PrimaryAccount string            `json:"primaryAccount"`
		Accounts       []json.RawMessage `json:"accounts"`
	}
	call := c.provider("get provider", http.MethodGet, name, false, "")
	if err := c.do(ctx, call, &raw); err != nil {
		return Provider{}, err
	}
	p := Provider{Enabled: raw.Enabled, PrimaryAccount: raw.PrimaryAccount}
	for _, data := range raw.Accounts {
		a, err := spinnaker.DecodeAccount(name, data)
		if err != nil {
			return Provider{}, &spinnaker.Error{Op: call.Op, Target: name, Kind: spinnaker.ErrProtocol, Status: http.StatusOK, Err: err}
		}
		p.Accounts = append(p.Accounts, a)
	}
	return p, nil
}

// Accounts lists a provider's accounts. It asks for the provider: the route
// of accounts fails where there are none (AccountService.java).
func (c *Client) Accounts(ctx context.Context, provider string) ([]spinnaker.Account, error) {
	p, err := c.Provider(ctx, provider)
	return p.Accounts, err
}

// Account returns an account. The error matches spinnaker.ErrNotFound if there
// is none of that name.
func (c *Client) Account(ctx context.Context, provider, name string) (spinnaker.Account, error) {
	var raw json.RawMessage
	call := c.account("get account", http.MethodGet, provider, name, false)
	if err := c.do(ctx, call, &raw); err != nil {
		return spinnaker.Account{}, err
	}
	a, err := spinnaker.DecodeAccount(provider, raw)
	if err != nil {
		return a, &spinnaker.Error{Op: call.Op, Target: name, Kind: spinnaker.ErrProtocol, Status: http.StatusOK, Err: err}
	}
	return a, nil
}

// AddAccount adds an account and enables its provider. The error matches
// spinnaker.ErrExists if there is one of that name: the daemon itself would
// take a second one, and then find neither (AccountService.java).
//
// A task that is lost is no error if the account is there afterwards.
func (c *Client) AddAccount(ctx context.Context, a spinnaker.Account) error {
	body, err := c.outgoing(a)
	if err != nil {
		return err
	}
	p, err := c.Provider(ctx, a.Provider)
	if err != nil {
		return err
	}
	for _, have := range p.Accounts {
		if have.Name == a.Name {
			return &spinnaker.Error{Op: "add account", Target: a.Name, Kind: spinnaker.ErrExists, Err: errors.New("there is an account of that name; edit or delete it")}
		}
	}
	call := c.provider("add account", http.MethodPost, a.Provider, !c.opts.SkipValidation, "accounts", "")
	call.Target, call.Body, call.Hide = a.Name, body, a.Hide()
	if err := c.settle(ctx, c.do(ctx, call, nil), a.Provider, a.Name, true); err != nil {
		return err
	}
	if p.Enabled {
		return nil
	}
	return c.EnableProvider(ctx, a.Provider, true)
}

// EditAccount puts an account in the place of the one named name.
func (c *Client) EditAccount(ctx context.Context, name string, a spinnaker.Account) error {
	body, err := c.outgoing(a)
	if err != nil {
		return err
	}
	call := c.account("edit account", http.MethodPut, a.Provider, name, !c.opts.SkipValidation)
	call.Body, call.Hide = body, a.Hide()
	return c.do(ctx, call, nil)
}

// DeleteAccount deletes an account. A task that is lost is no error if the
// account is gone afterwards.
func (c *Client) DeleteAccount(ctx context.Context, provider, name string) error {
	// The daemon would validate the accounts that are left, which this
	// request has nothing to do with.
	call := c.account("delete account", http.MethodDelete, provider, name, false)
	return c.settle(ctx, c.do(ctx, call, nil), provider, name, false)
}

// EnableProvider switches a provider on or off. Off keeps its accounts.
func (c *Client) EnableProvider(ctx context.Context, provider string, on bool) error {
	call := c.provider("enable provider", http.MethodPut, provider, false, "enabled", "")
	if call.Body = on; !on {
		call.Op = "disable provider"
	}
	return c.do(ctx, call, nil)
}

// settle finds out what became of a change whose task was lost: done, or the
// error.
func (c *Client) settle(ctx context.Context, err error, provider, name string, want bool) error {
	var lost *TaskError
	if !errors.As(err, &lost) || lost.State != Lost {
		return err
	}
	p, getErr := c.Provider(ctx, provider)
	if getErr != nil {
		return err
	}
	there := false
	for _, a := range p.Accounts {
		there = there || a.Name == name
	}
	if there == want {
		return nil
	}
	return err
}

func (c *Client) outgoing(a spinnaker.Account) (json.RawMessage, error) {
	if err := checkAccountName(a); err != nil {
		return nil, err
	}
	body, err := a.Wire()
	if err != nil {
		return nil, &spinnaker.Error{Op: "encode account", Target: a.Name, Kind: spinnaker.ErrInvalid, Err: errors.New("a field that is no JSON")}
	}
	return body, nil
}

// checkAccountName holds the pattern for those providers that have it, and a
// name at all for the others.
func checkAccountName(a spinnaker.Account) error {
	switch a.Provider {
	case spinnaker.DockerRegistryProvider, spinnaker.KubernetesProvider:
		return spinnaker.CheckName(a.Name)
	}
	if a.Name == "" {
		return &spinnaker.FieldError{Field: "name", Msg: "is missing"}
	}
	return nil
}

func (c *Client) provider(op, method, name string, validate bool, path ...string) rest.Call {
	call := c.deployment(op, method, validate, append([]string{"providers", name}, path...)...)
	call.Target = name
	return call
}

func (c *Client) account(op, method, provider, name string, validate bool) rest.Call {
	call := c.provider(op, method, provider, validate, "accounts", "account", name, "")
	call.Target = name
	return call
}
