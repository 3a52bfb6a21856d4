package process_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/process"
	"github.com/opnfv/clover/jmeter/runnertest"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestSuite(t *testing.T) {
	t.Parallel() // JVMs take their time, and mostly wait
	runnertest.Suite(t, &process.JMeter{Home: testutil.JMeter(t), JVMArgs: fast, Log: t.Output()})
}

// fast is what makes a JVM start sooner; these do not live long.
var fast = []string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}

// TestTemplatesOfJMeter holds that the plans that come with JMeter lose
// nothing when they are read and written, and that a change of one request
// changes nothing else.
func TestTemplatesOfJMeter(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testutil.JMeter(t), "bin", "templates", "*.jmx"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no templates")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := jmeter.ReadJMX(data)
		if err != nil && strings.Contains(err.Error(), "a fragment is no plan") {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		out, err := plan.JMX()
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if a, b := tokens(t, data), tokens(t, out); !slices.Equal(a, b) {
			t.Errorf("%s: %d tokens have become %d", filepath.Base(file), len(a), len(b))
		}
	}
}

// tokens lists what an XML file says; the order of attributes and the space
// between elements are left out.
func tokens(t *testing.T, data []byte) []string {
	dec := xml.NewDecoder(bytes.NewReader(data))
	var list []string
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			var attrs []string
			for _, a := range token.Attr {
				attrs = append(attrs, a.Name.Local+"="+a.Value)
			}
			slices.Sort(attrs)
			list = append(list, token.Name.Local+" "+strings.Join(attrs, " "))
		case xml.CharData:
			if s := string(token); strings.TrimSpace(s) != "" {
				list = append(list, s)
			}
		}
	}
}
