package starter

import (
	"strings"
	"testing"

	"github.com/opnfv/clover/ids"
)

func TestRulesAreCleanAndDocumented(t *testing.T) {
	for _, d := range []ids.Dialect{ids.Suricata, ids.Snort2, ids.Snort3} {
		set, issues := Rules(d)
		for _, i := range issues {
			if i.Effect > ids.EffectApproximate {
				t.Errorf("%s: %v", d, i)
			}
		}
		for _, f := range ids.Lint(set, ids.LintOptions{}) {
			t.Errorf("%s: %v", d, f)
		}
		for r := range set.Rules() {
			if sid := r.SID(); sid < FirstSID || sid > LastSID || r.Disabled {
				t.Errorf("%s: sid %d", d, sid)
			}
			for _, name := range []string{"msg", "classtype", "reference", "metadata", "rev"} {
				if _, ok := r.Option(name); !ok {
					t.Errorf("%s: %d has no %s", d, r.SID(), name)
				}
			}
		}
		again, err := ids.Parse(set.String(), ids.ParseOptions{Dialect: d})
		if err != nil || again.Len() != set.Len() || set.Len() < 25 {
			t.Errorf("%s: %d rules, read again %d: %v", d, set.Len(), again.Len(), err)
		}
	}
}

func TestTheScanOfTheGuide(t *testing.T) {
	set, _ := Rules(ids.Suricata)
	r := set.Find(1, FirstSID)
	if r == nil || r.Message() != "MALWARE-CNC User-Agent ASafaWeb Scan" || !strings.Contains(r.String(), `"asafaweb.com"`) {
		t.Error(r)
	}
}
