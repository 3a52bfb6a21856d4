package gate

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/internal/rest"
)

// AccountSummary is what every user may know of an account that clouddriver
// has loaded, whether it came through this API or from a file.
type AccountSummary struct {
	Name          string `json:"name"`
	Type          string `json:"type"`
	AccountType   string `json:"accountType"`
	CloudProvider string `json:"cloudProvider"`
	Environment   string `json:"environment"`
	Authorized    bool   `json:"authorized"`
}

// Accounts lists the accounts that clouddriver has loaded.
func (c *Client) Accounts(ctx context.Context) ([]AccountSummary, error) {
	var out []AccountSummary
	err := c.get(ctx, "list accounts", "", &out, nil, "credentials")
	return out, err
}

const (
	// definitionsPage is how many definitions one request asks for.
	definitionsPage = 100
	maxDefinitions  = 100_000
)

// AccountDefinitions lists the accounts of a provider that were made through
// this API and that the user may change. The error matches
// spinnaker.ErrUnsupported where clouddriver does not store accounts
// (account.storage.enabled, with SQL).
func (c *Client) AccountDefinitions(ctx context.Context, provider string) ([]spinnaker.Account, error) {
	var all []spinnaker.Account
	query := url.Values{"limit": {"100"}}
	for {
		var page []json.RawMessage
		if err := c.storage(c.get(ctx, "list accounts", provider, &page, query, "credentials", "type", provider)); err != nil {
			return nil, err
		}
		fresh := 0
		for _, data := range page {
			a, err := spinnaker.DecodeAccount(provider, data)
			if err != nil {
				return nil, c.odd("list accounts", provider, err.Error())
			}
			delete(a.Fields, "type")
			if len(all) > 0 && all[len(all)-1].Name == a.Name {
				continue // the next page begins with the last of this one
			}
			all, fresh = append(all, a), fresh+1
		}
		if len(page) < definitionsPage || fresh == 0 {
			return all, nil
		}
		if len(all) > maxDefinitions {
			return nil, c.odd("list accounts", provider, "no end")
		}
		query.Set("startingAccountName", all[len(all)-1].Name)
	}
}

// AccountDefinition returns one of AccountDefinitions. The error matches
// spinnaker.ErrNotFound if there is none of that name.
func (c *Client) AccountDefinition(ctx context.Context, provider, name string) (spinnaker.Account, error) {
	all, err := c.AccountDefinitions(ctx, provider)
	if err != nil {
		return spinnaker.Account{}, err
	}
	for _, a := range all {
		if a.Name == name {
			return a, nil
		}
	}
	return spinnaker.Account{}, none("get account", name, "no account of that name was made through this API")
}

// AddAccount adds an account. clouddriver loads it some seconds later. The
// error matches spinnaker.ErrExists if there is one of that name.
func (c *Client) AddAccount(ctx context.Context, a spinnaker.Account) error {
	err := c.storage(c.send(ctx, "add account", http.MethodPost, a))
	var refused *spinnaker.Error
	// AccountDefinitionService.java has no status of its own for it.
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && strings.Contains(err.Error(), "already exists") {
		refused.Kind = spinnaker.ErrExists
	}
	return err
}

// EditAccount puts an account in the place of the one of its name; if there is
// none it is made.
func (c *Client) EditAccount(ctx context.Context, a spinnaker.Account) error {
	return c.storage(c.send(ctx, "edit account", http.MethodPut, a))
}

// DeleteAccount deletes an account that was made through this API. The error
// matches spinnaker.ErrNotFound if there is none: Gate itself would say that
// it is done.
func (c *Client) DeleteAccount(ctx context.Context, provider, name string) error {
	if _, err := c.AccountDefinition(ctx, provider, name); err != nil {
		return err
	}
	call := rest.Call{Op: "delete account", Target: name, Method: http.MethodDelete, Path: []string{"credentials", name}}
	return c.storage(c.rest.JSON(ctx, call, nil))
}

func (c *Client) send(ctx context.Context, op, method string, a spinnaker.Account) error {
	if err := spinnaker.CheckName(a.Name); err != nil {
		return err
	}
	fields := map[string]any{"type": a.Provider}
	for k, v := range a.Fields {
		fields[k] = v
	}
	a.Fields = fields
	body, err := a.Wire()
	if err != nil {
		return &spinnaker.Error{Op: op, Target: a.Name, Kind: spinnaker.ErrInvalid, Err: errors.New("a field that is no JSON")}
	}
	call := rest.Call{Op: op, Target: a.Name, Method: method, Path: []string{"credentials"}, Body: json.RawMessage(body), Hide: a.Hide()}
	return c.rest.JSON(ctx, call, nil)
}

// storage tells that accounts are not stored from other errors: clouddriver
// answers with a ConfigurationException.
func (c *Client) storage(err error) error {
	var refused *spinnaker.Error
	if errors.As(err, &refused) && strings.Contains(err.Error(), "AccountDefinitionService") {
		refused.Kind = spinnaker.ErrUnsupported
		refused.Err = errors.New("this installation does not store accounts; set account.storage.enabled with an SQL database in clouddriver.yml")
	}
	return err
}
