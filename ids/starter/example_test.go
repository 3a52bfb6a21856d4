package starter_test

import (
	"fmt"

	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/ids/starter"
)

func ExampleRules() {
	for _, d := range []ids.Dialect{ids.Suricata, ids.Snort2, ids.Snort3} {
		set, issues := starter.Rules(d)
		fmt.Println(d, set.Len(), "rules,", len(issues), "of them approximate")
	}
	set, _ := starter.Rules(ids.Snort3)
	fmt.Println(set.Find(1, 9000004))
	// Output:
	// suricata 30 rules, 0 of them approximate
	// snort2 30 rules, 11 of them approximate
	// snort3 30 rules, 8 of them approximate
	// alert tcp any any -> $HOME_NET any ( msg:"Path to the users of a system in a request"; flow:established,to_server; http_uri; content:"/etc/passwd",nocase,fast_pattern; classtype:web-application-attack; reference:url,owasp.org/www-community/attacks/Path_Traversal; service:http; metadata:attack_target Web_Server, signature_severity Major, clover_topic traversal; sid:9000004; rev:1; )
}
