//go:build unix

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opnfv/clover/ids/engine"
	"github.com/opnfv/clover/internal/testutil"
)

// standIn makes the test's own program stand in for Snort.
const standIn = "CLOVER_STAND_IN_SNORT"

func init() {
	if mode := os.Getenv(standIn); mode != "" {
		os.Exit(snort(mode, os.Args[1:]))
	}
}

var unknownOption = regexp.MustCompile(`nonsense\b`)

// snort prints what Snort 3 prints: mode "old" as of 2018, "new" as of 2021;
// "failing" says on a reload that it failed.
func snort(mode string, args []string) int {
	rules := args[slices.Index(args, "-R")+1]
	fmt.Println("--------------------------------------------------\no\")~   Snort++ 3.1.84.0\n--------------------------------------------------")
	load := func() bool {
		data, err := os.ReadFile(rules)
		if err != nil {
			fmt.Printf("ERROR: can't open %s\n", rules)
			return false
		}
		n, bad := 0, 0
		for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			switch {
			case unknownOption.MatchString(line):
				fmt.Printf("ERROR: %s:%d unknown rule keyword: nonsense.\n", rules, i+1)
				bad++
			case strings.HasPrefix(line, "alert"):
				n++
			}
		}
		if bad > 0 {
			fmt.Printf("FATAL: see prior %d errors (0 warnings)\nFatal Error, Quitting..\n", bad)
			return false
		}
		fmt.Printf("--------------------------------------------------\nrule counts\n       total rules loaded: %d\n               text rules: %d\n", n, n)
		return true
	}
	if !load() {
		return 1
	}
	if slices.Contains(args, "-T") {
		fmt.Println("\nSnort successfully validated the configuration (with 0 warnings).\no\")~   Snort exiting")
		return 0
	}
	// Before it is told to be ready: a signal may come at once then.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, os.Interrupt)
	fmt.Println("Commencing packet processing\n++ [0] eth0")
	for s := range signals {
		if s == os.Interrupt {
			fmt.Println("** caught int signal\n== stopping")
			return 0
		}
		fmt.Println("** caught hup signal")
		switch mode {
		case "old":
			fmt.Println(".. reloading configuration")
			load()
			fmt.Println(".. swapping configuration")
		case "failing":
			fmt.Println("Reload started. [signal]\nReload failed! reload configuration failed [signal]")
		default:
			fmt.Println("Reload started. [signal]")
			fmt.Println("Reload ended. [signal]")
		}
	}
	return 0
}

func startSnort(t *testing.T, mode string) *engine.Snort {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := engine.NewSnort(filepath.Join(t.TempDir(), "snort"), engine.SnortOptions{
		Program: []string{"env", standIn + "=" + mode, program}, Config: "/etc/snort/snort.lua", Interfaces: []string{"eth0"}, Logger: testutil.Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	testutil.Eventually(t, 30*time.Second, func() (bool, string) { return s.State().Running, s.State().LastExit })
	return s
}

func TestSnortChangesRulesLive(t *testing.T) {
	for _, mode := range []string{"old", "new"} {
		t.Run(mode, func(t *testing.T) {
			s := startSnort(t, mode)
			good := "alert icmp any any -> any any (msg:\"a\"; sid:1;)\nalert icmp any any -> any any (msg:\"b\"; sid:2;)\n"
			if c, err := s.Replace(t.Context(), []byte(good)); err != nil || c.Loaded != 2 {
				t.Fatalf("%+v, %v", c, err)
			}
			pid := s.State().PID
			_, err := s.Replace(t.Context(), []byte(good+"alert icmp any any -> any any (nonsense; sid:3;)"))
			var refused *engine.RuleError
			if !errors.As(err, &refused) || len(refused.Problems) != 1 || refused.Problems[0].Line != 3 ||
				err.Error() != "Snort refuses the rules: line 3: unknown rule keyword: nonsense" {
				t.Errorf("%v", err)
			}
			if now, err := s.Current(); err != nil || string(now) != good {
				t.Errorf("%s, %v", now, err)
			}
			if st := s.State(); st.PID != pid || st.Version != "3.1.84.0" || st.String() != "Snort 3.1.84.0 on pid: "+itoa(pid) {
				t.Errorf("%+v", st)
			}
			if err := s.Health(t.Context()); err != nil {
				t.Error(err)
			}
			stopped, err := s.Stop(t.Context())
			if err != nil || stopped.Stopped() != "Stopped Snort on pid: "+itoa(pid)+", Cleared Snort logs" {
				t.Errorf("%+v %v", stopped, err)
			}
			if _, err := s.Stats(t.Context()); !errors.Is(err, engine.ErrNotRunning) {
				t.Errorf("stats %v", err)
			}
		})
	}
}

// TestOldRulesComeBack has an engine whose test is happy and which then fails
// to load the rules.
func TestOldRulesComeBack(t *testing.T) {
	s := startSnort(t, "failing")
	before, err := s.Current()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Replace(t.Context(), []byte("alert icmp any any -> any any (sid:1;)")); err == nil || !strings.Contains(err.Error(), "reload configuration failed") {
		t.Errorf("%v", err)
	}
	if now, err := s.Current(); err != nil || string(now) != string(before) {
		t.Errorf("%q, %v", now, err)
	}
}
