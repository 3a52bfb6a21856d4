package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/jmeter/process"
)

// jmeterFlags say where JMeter is, and by what its processes know each other.
type jmeterFlags struct {
	home, java string
	jvm        []string
	keys       string
	plain      bool
	verbose    bool
}

func (j *jmeterFlags) add(f *pflag.FlagSet) {
	f.StringVar(&j.home, "jmeter-home", "", "`folder` of Apache JMeter, which has bin/ApacheJMeter.jar")
	f.StringVar(&j.java, "java", "", "`program` that runs it (default: java on the path)")
	f.StringSliceVar(&j.jvm, "jvm-arg", nil, "`argument` for Java, such as -Xmx512m (may be given again)")
	f.StringVar(&j.keys, "keys", "", "`folder` with tls.crt and tls.key in PEM, or rmi.p12 and rmi.p12.password, by which master and slaves know each other")
	f.BoolVar(&j.plain, "plain-rmi", false, "RMI without TLS and without any check of who calls")
	f.BoolVar(&j.verbose, "jmeter-output", false, "print what JMeter prints")
}

// program returns JMeter; nil if there is none.
func (j *jmeterFlags) program(out io.Writer) (*process.JMeter, error) {
	if j.home == "" {
		return nil, nil
	}
	if _, err := os.Stat(filepath.Join(j.home, "bin", "ApacheJMeter.jar")); err != nil {
		return nil, cli.Usagef("--jmeter-home: %w", err)
	}
	p := &process.JMeter{Home: j.home, Java: j.java, JVMArgs: j.jvm}
	if j.verbose {
		p.Log = out
	}
	return p, nil
}

// readKeys returns the keys of --keys, none without.
func (j *jmeterFlags) readKeys() (process.Keys, error) {
	if j.keys == "" {
		return process.Keys{}, nil
	}
	if j.plain {
		return process.Keys{}, cli.Usagef("--keys and --plain-rmi; want one of them")
	}
	file := filepath.Join(j.keys, "rmi.p12")
	password, err := os.ReadFile(file + ".password")
	if err == nil {
		return process.Keys{File: file, Password: strings.TrimSpace(string(password))}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return process.Keys{}, cli.Usagef("--keys: %w", err)
	}
	keys, err := process.PEMKeys(filepath.Join(j.keys, "tls.crt"), filepath.Join(j.keys, "tls.key"), "")
	if err != nil {
		return keys, cli.Usagef("--keys: %w", err)
	}
	return keys, nil
}
