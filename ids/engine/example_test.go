package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/opnfv/clover/ids/engine"
)

// Suricata looks at eth0; a rule is added while it runs.
func ExampleSuricata() {
	s, err := engine.NewSuricata("/var/lib/clover/suricata", engine.SuricataOptions{
		Interfaces: []string{"eth0"}, Addresses: map[string]string{"HOME_NET": "10.244.0.0/16"}, Stopped: true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = s.Run(ctx) }() // ends with ctx
	state, err := s.Start(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(state.Started()) // Started Suricata on pid: 155
	counts, err := s.Replace(ctx, []byte(`alert icmp any any -> any any (msg:"ping"; itype:8; sid:10000001; rev:1;)`))
	var refused *engine.RuleError
	if errors.As(err, &refused) {
		for _, p := range refused.Problems {
			fmt.Println(p.Line, p.Message)
		}
	}
	fmt.Println(counts.Loaded, "rules")
}

func ExampleState() {
	s := engine.State{Name: "Suricata", Version: "7.0.10", Running: true, PID: 155}
	fmt.Println(s)
	fmt.Println(s.Started())
	fmt.Println(s.Stopped())
	// Output:
	// Suricata 7.0.10 on pid: 155
	// Started Suricata on pid: 155
	// Stopped Suricata on pid: 155, Cleared Suricata logs
}

func ExampleRuleError() {
	err := error(&engine.RuleError{Engine: "Suricata", Problems: []engine.RuleProblem{{Line: 2, Message: "unknown rule keyword 'http.agent'."}}})
	fmt.Println(errors.Is(err, engine.ErrRules))
	fmt.Fprintln(os.Stdout, err)
	// Output:
	// true
	// Suricata refuses the rules: line 2: unknown rule keyword 'http.agent'.
}
