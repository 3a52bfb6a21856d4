package jmeter

import _ "embed" // for Explanation

// Explanation is a plan in YAML that has every key, with comments.
//
//go:embed explain.yaml
var Explanation string
