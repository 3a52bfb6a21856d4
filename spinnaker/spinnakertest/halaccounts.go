package spinnakertest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/opnfv/clover/spinnaker/halyard"
)

// problem is one that stops a task (HalException).
func problem(message, remediation string) []halyard.Problem {
	return []halyard.Problem{{Severity: halyard.Fatal, Location: "Global", Message: message, Remediation: remediation}}
}

// find returns the provider of a request, or the problem of
// DeploymentService.java or ProviderService.java.
func (h *Halyard) find(r *http.Request) (*halProvider, []halyard.Problem) {
	if d := r.PathValue("deployment"); d != "default" {
		return nil, problem(fmt.Sprintf("No deployment with name %q could be found", d), fmt.Sprintf("Create a new deployment with name %q", d))
	}
	name := r.PathValue("provider")
	p := h.providers[name]
	if p == nil {
		return nil, problem(fmt.Sprintf("No provider with name %q could be found", name), fmt.Sprintf("Create a new provider with name %q", name))
	}
	if p.Primary = nil; len(p.Accounts) > 0 {
		first, _ := p.Accounts[0]["name"].(string)
		p.Primary = &first
	}
	return p, nil
}

func (h *Halyard) getDeployment(w http.ResponseWriter, r *http.Request) {
	h.submit(w, r, "Get deployment configuration", "Reading", func() (any, []halyard.Problem, bool) {
		if r.PathValue("deployment") != "default" {
			_, problems := h.find(r)
			return nil, problems, false
		}
		var found []halyard.Problem
		for _, name := range halProviders {
			for _, a := range h.providers[name].Accounts {
				found = append(found, h.validate(r, name, a)...)
			}
		}
		if exceeds(r, found) {
			return nil, found, false
		}
		return halDeployment, found, true
	})
}

func (h *Halyard) deploy(w http.ResponseWriter, r *http.Request) {
	h.submit(w, r, "Apply deployment", "Deploying", func() (any, []halyard.Problem, bool) {
		h.applied++
		return map[string]any{"scriptPath": "", "scriptDescription": "", "autoRun": false}, nil, true
	})
}

func (h *Halyard) generate(w http.ResponseWriter, r *http.Request) {
	h.submit(w, r, "Generate config", "Generating", func() (any, []halyard.Problem, bool) {
		return "/home/spinnaker/.hal/default/staging", nil, true
	})
}

func (h *Halyard) getProvider(w http.ResponseWriter, r *http.Request) {
	h.submit(w, r, "Get the "+r.PathValue("provider")+" provider", "Reading", func() (any, []halyard.Problem, bool) {
		p, problems := h.find(r)
		return p, problems, p != nil
	})
}

func (h *Halyard) setEnabled(w http.ResponseWriter, r *http.Request) {
	var on bool
	if !decode(r, &on) {
		springError(w, r, http.StatusBadRequest, "")
		return
	}
	h.submit(w, r, "Edit the "+r.PathValue("provider")+" provider", "Editing", func() (any, []halyard.Problem, bool) {
		p, problems := h.find(r)
		if p != nil {
			p.Enabled = on
		}
		return nil, problems, p != nil
	})
}

// listAccounts follows AccountService.getAllAccounts: none is a problem.
func (h *Halyard) listAccounts(w http.ResponseWriter, r *http.Request) {
	h.submit(w, r, "Get all "+r.PathValue("provider")+" accounts", "Reading", func() (any, []halyard.Problem, bool) {
		p, problems := h.find(r)
		if p == nil {
			return nil, problems, false
		}
		if len(p.Accounts) == 0 {
			return nil, problem("No accounts could be found", ""), false
		}
		return p.Accounts, nil, true
	})
}

// getAccount follows AccountService.getAccount.
func (h *Halyard) getAccount(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("account")
	h.submit(w, r, "Get "+name+" account", "Reading", func() (any, []halyard.Problem, bool) {
		p, problems := h.find(r)
		if p == nil {
			return nil, problems, false
		}
		var found []map[string]any
		for _, a := range p.Accounts {
			if a["name"] == name {
				found = append(found, a)
			}
		}
		switch len(found) {
		case 0:
			return nil, problem(fmt.Sprintf("No account with name %q was found", name), "Check if this account was defined in another provider, or create a new one"), false
		case 1:
			return found[0], nil, true
		}
		return nil, problem(fmt.Sprintf("More than one account named %q was found", name), "Manually delete/rename duplicate accounts with name \""+name+"\" in your halconfig file"), false
	})
}

// addAccount follows AccountService.addAccount, which takes a second account
// of the same name.
func (h *Halyard) addAccount(w http.ResponseWriter, r *http.Request) {
	h.change(w, r, "Add the %s account", func(p *halProvider, a map[string]any) bool {
		p.Accounts = append(p.Accounts, a)
		return true
	})
}

// setAccount follows AccountService.setAccount.
func (h *Halyard) setAccount(w http.ResponseWriter, r *http.Request) {
	h.change(w, r, "Edit the %s account", func(p *halProvider, a map[string]any) bool {
		i := slices.IndexFunc(p.Accounts, func(have map[string]any) bool { return have["name"] == r.PathValue("account") })
		if i >= 0 {
			p.Accounts[i] = a
		}
		return i >= 0
	})
}

// change follows GenericUpdateRequest.java: update, validate, then save or
// revert.
func (h *Halyard) change(w http.ResponseWriter, r *http.Request, title string, update func(*halProvider, map[string]any) bool) {
	var raw map[string]any
	provider := r.PathValue("provider")
	if !decode(r, &raw) {
		springError(w, r, http.StatusBadRequest, "")
		return
	}
	if h.providers[provider] == nil {
		// Providers.translateAccountType throws before there is a task.
		springError(w, r, http.StatusInternalServerError, "")
		return
	}
	h.submit(w, r, fmt.Sprintf(title, raw["name"]), "Running validation", func() (any, []halyard.Problem, bool) {
		p, problems := h.find(r)
		if p == nil {
			return nil, problems, false
		}
		h.stage(raw, "kubeconfigFile", "passwordFile", "dockerconfigFile")
		account, before := fill(provider, raw), slices.Clone(p.Accounts)
		if !update(p, account) {
			return nil, problem(fmt.Sprintf("Account %q wasn't found", r.PathValue("account")), ""), false
		}
		found := h.validate(r, provider, account)
		if exceeds(r, found) {
			p.Accounts = before
			return nil, found, false
		}
		return nil, found, true
	})
}

// deleteAccount follows AccountService.deleteAccount.
func (h *Halyard) deleteAccount(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("account")
	h.submit(w, r, "Delete the "+name+" account", "Deleting", func() (any, []halyard.Problem, bool) {
		p, problems := h.find(r)
		if p == nil {
			return nil, problems, false
		}
		left := slices.DeleteFunc(slices.Clone(p.Accounts), func(a map[string]any) bool { return a["name"] == name })
		if len(left) == len(p.Accounts) {
			return nil, problem(fmt.Sprintf("Account %q wasn't found", name), ""), false
		}
		p.Accounts = left
		return nil, nil, true
	})
}

// exceeds follows ProblemSet.throwifSeverityExceeds with the severity of
// ValidationSettingsHandler.java.
func exceeds(r *http.Request, found []halyard.Problem) bool {
	rank := map[halyard.Severity]int{halyard.Info: 1, halyard.Warning: 2, halyard.Error: 3, halyard.Fatal: 4}
	limit := halyard.Severity(r.URL.Query().Get("severity"))
	if limit == "" {
		limit = halyard.Warning
	}
	for _, p := range found {
		if rank[p.Severity] > rank[limit] {
			return true
		}
	}
	return false
}

var accountName = regexp.MustCompile(`^[a-z0-9]+([-a-z0-9]*[a-z0-9])?$`)

// validate follows DockerRegistryAccountValidator.java and
// KubernetesAccountValidator.java as far as they ask nobody else.
func (h *Halyard) validate(r *http.Request, provider string, a map[string]any) []halyard.Problem {
	if r.URL.Query().Get("validate") != "true" {
		return nil
	}
	name, _ := a["name"].(string)
	at := "default.provider." + provider + "." + name
	var found []halyard.Problem
	add := func(s halyard.Severity, message, remediation string) {
		found = append(found, halyard.Problem{Severity: s, Location: at, Message: message, Remediation: remediation})
	}
	switch provider {
	case "dockerRegistry":
		if !accountName.MatchString(name) {
			add(halyard.Error, "Account name must match pattern "+accountName.String(), "It must start and end with a lower-case character or number, and only contain lower-case characters, numbers, or dashes")
		}
		user, _ := a["username"].(string)
		password, _ := a["password"].(string)
		if password != "" && user == "" {
			add(halyard.Warning, "You have supplied a password but no username.", "")
		}
		if password == "" && user != "" {
			add(halyard.Warning, "You have a supplied a username but no password.", "")
		}
	case "kubernetes":
		if a["providerVersion"] == "V1" {
			add(halyard.Warning, "Account "+name+" is using Spinnaker's legacy Kubernetes provider (V1), which is scheduled for removal in Spinnaker 1.21.", "")
			found = append(found, h.registries(at, a)...)
		}
	}
	if h.opts.Validate != nil {
		found = append(found, h.opts.Validate(provider, a)...)
	}
	return found
}

// registries follows DockerRegistryReferenceValidation.java, which only V1
// accounts meet.
func (h *Halyard) registries(at string, a map[string]any) []halyard.Problem {
	have := h.providers["dockerRegistry"]
	refs, _ := a["dockerRegistries"].([]any)
	if len(refs) == 0 {
		return []halyard.Problem{{Severity: halyard.Error, Location: at, Message: "You have not specified any docker registries to deploy to.",
			Remediation: "Add a docker registry that can be found in this deployment's dockerRegistries provider."}}
	}
	var found []halyard.Problem
	for _, ref := range refs {
		fields, _ := ref.(map[string]any)
		name := fields["accountName"]
		if !slices.ContainsFunc(have.Accounts, func(r map[string]any) bool { return r["name"] == name }) {
			found = append(found, halyard.Problem{Severity: halyard.Error, Location: at, Options: accountNames(have),
				Message:     fmt.Sprintf("The chosen registry \"%v\" has not been configured in your halconfig.", name),
				Remediation: fmt.Sprintf("Either add \"%v\" as a new Docker Registry account, or pick a different one.", name)})
		}
	}
	return found
}

func accountNames(p *halProvider) []string {
	var out []string
	for _, a := range p.Accounts {
		name, _ := a["name"].(string)
		out = append(out, name)
	}
	return out
}
