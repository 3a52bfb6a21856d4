package master

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// DefaultPlan is the name of a plan that has none.
const DefaultPlan = "default"

// Plan is a plan that is kept.
type Plan struct {
	Name    string
	Text    string // YAML, or a file of JMeter
	Files   map[string][]byte
	Created time.Time
}

// Digest returns the SHA-256 of the plan's text and files, in hexadecimal.
func (p *Plan) Digest() string {
	h := sha256.New()
	add := func(s string) { fmt.Fprintf(h, "%d:%s", len(s), s) }
	add(p.Text)
	for _, name := range slices.Sorted(maps.Keys(p.Files)) {
		add(name)
		add(string(p.Files[name]))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Read returns what the text says.
func (p *Plan) Read() (*jmeter.Plan, error) { return jmeter.ReadPlan([]byte(p.Text)) }

var planName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// checkName returns the name of a plan; "" is DefaultPlan.
func checkName(name string) (string, error) {
	if name == "" {
		return DefaultPlan, nil
	}
	if !planName.MatchString(name) {
		return "", fmt.Errorf("%w: plan name %.80q; want letters, digits, '_', '.' and '-', at most 64", jmeter.ErrInvalid, name)
	}
	return name, nil
}

// check reads the plan and says what is wrong with it or its files.
func (p *Plan) check() (*jmeter.Plan, error) {
	size := len(p.Text)
	for _, data := range p.Files {
		size += len(data)
	}
	if size > MaxPlanBytes {
		return nil, fmt.Errorf("%w: the plan and its files have %d bytes; at most %d", jmeter.ErrInvalid, size, MaxPlanBytes)
	}
	read, err := p.Read()
	if err != nil {
		return nil, err
	}
	wanted := read.Files()
	for _, name := range wanted {
		if _, ok := p.Files[name]; !ok && filepath.IsLocal(filepath.FromSlash(name)) && !strings.Contains(name, "${") {
			return nil, fmt.Errorf("%w: the plan reads the file %s, which is not given", jmeter.ErrInvalid, name)
		}
	}
	for name := range p.Files {
		if !slices.Contains(wanted, name) {
			return nil, fmt.Errorf("%w: the plan does not read the file %.80q", jmeter.ErrInvalid, name)
		}
	}
	return read, nil
}

// SetPlan checks a plan and keeps it in place of the one of its name. It
// returns what is kept. Targets are checked now, and again when it runs.
func (m *Master) SetPlan(p Plan) (Plan, error) {
	var err error
	if p.Name, err = checkName(p.Name); err != nil {
		return p, err
	}
	read, err := p.check()
	if err != nil {
		return p, err
	}
	if err := m.opts.Targets.check(read); err != nil {
		return p, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	names, err := m.planNames()
	if err != nil {
		return p, err
	}
	if len(names) >= maxPlans && !slices.Contains(names, p.Name) {
		return p, fmt.Errorf("%w: %d plans are kept, as many as may be; give the name of one to be replaced", jmeter.ErrInvalid, maxPlans)
	}
	p.Created = time.Now().UTC()
	return p, writeJSON(m.planFile(p.Name), p)
}

func (m *Master) planFile(name string) string { return m.path("plans", name+".json") }

// Plan returns a plan; "" is DefaultPlan.
func (m *Master) Plan(name string) (Plan, error) {
	name, err := checkName(name)
	if err != nil {
		return Plan{}, err
	}
	var p Plan
	err = readJSON(m.planFile(name), &p)
	if errors.Is(err, fs.ErrNotExist) {
		what := "there is no test plan " + name
		if name == DefaultPlan {
			what = "there is no test plan yet"
		}
		return p, fmt.Errorf("%w: %s; give one with: cloverctl create testplan -f FILE", jmeter.ErrNotFound, what)
	}
	return p, err
}

func (m *Master) planNames() ([]string, error) {
	entries, err := os.ReadDir(m.path("plans"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok && planName.MatchString(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Plans returns all plans by name.
func (m *Master) Plans() ([]Plan, error) {
	names, err := m.planNames()
	if err != nil {
		return nil, err
	}
	var plans []Plan
	for _, name := range names {
		p, err := m.Plan(name)
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// writeJSON writes a file as a whole or not at all.
func writeJSON(file string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error says more
	}
	return err
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
