package mesh

import (
	"strings"
	"testing"
)

func TestDifferences(t *testing.T) {
	was, err := SDC(SDCOptions{}).Objects()
	if err != nil {
		t.Fatal(err)
	}
	will, err := SDC(SDCOptions{NoMirror: true, Versions: map[string]int{"http-lb-v1": 90, "http-lb-v2": 10}}).Objects()
	if err != nil {
		t.Fatal(err)
	}
	will[0].SetLabels(map[string]string{"team": "edge"})
	var lines []string
	for i := range was {
		for _, d := range differences(label(was[i].GetKind(), was[i]), was[i], will[i]) {
			lines = append(lines, d.String())
		}
	}
	lines = append(lines, Difference{Object: "Gateway default/new"}.String())
	golden(t, "differences.txt", []byte(strings.Join(lines, "\n")+"\n"))
}
