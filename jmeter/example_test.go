package jmeter_test

import (
	"fmt"

	"github.com/opnfv/clover/jmeter"
)

func ExampleParsePlan() {
	plan, err := jmeter.ParsePlan([]byte(`
load_spec: {num_threads: 5, loops: 2}
url_list: [{name: url1, url: "http://proxy-access-control.default:9180", user-agent: chrome}]
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	jmx, err := plan.JMX() // a file for JMeter
	fmt.Println(len(jmx) > 0, err)

	_, err = jmeter.ParsePlan([]byte("load_spec: {loops: 0}\nurl_list: [{url: shop}]"))
	fmt.Println(err)
	// Output:
	// true <nil>
	// line 1, column 20: load_spec.loops: 0 is for ever, and there is no duration; want a duration or a number of loops
}

func ExampleResults_Judge() {
	var results jmeter.Results
	results.Add(&jmeter.Sample{Label: "url1", Code: "200", Success: true})
	verdicts, err := results.Judge([]string{"errors < 1%", "count(url1) > 10"})
	for _, v := range verdicts {
		fmt.Println(v.Criterion.Text, v.Pass, v.Got)
	}
	fmt.Println(err)
	// Output:
	// errors < 1% true 0.00%
	// count(url1) > 10 false 1
	// <nil>
}

func ExamplePlan_Walk() {
	plan, err := jmeter.ParsePlan([]byte(jmeter.Explanation))
	if err != nil {
		fmt.Println(err)
		return
	}
	n := 0
	plan.Walk(func(*jmeter.Group, jmeter.Step) { n++ })
	fmt.Println(n, "steps")
	// Output: 10 steps
}
