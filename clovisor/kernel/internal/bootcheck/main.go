// Command bootcheck is the first process of a virtual machine that a test
// boots an older kernel in. It loads the modules that are beside it, traces
// one request in every way that the kernel knows, writes what it saw as JSON
// to the console, and turns the machine off.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// prefix marks the line of the console that has the result.
const prefix = "BOOTCHECK "

func main() {
	r := run()
	out, err := json.Marshal(r)
	if err != nil {
		out = fmt.Appendf(nil, `{"Error":%q}`, err)
	}
	fmt.Fprintf(os.Stdout, "\n%s%s\n", prefix, out)
	if err := powerOff(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// result is what the test reads.
type result struct {
	Error  string
	Report any
	Traces []trace
}

// trace is one request that was traced.
type trace struct {
	Hook, Buffer string
	Error        string
	Request      string // what the programs saw
	Response     string
	Lost         uint64
	Left         int // filters that were left afterwards
}
