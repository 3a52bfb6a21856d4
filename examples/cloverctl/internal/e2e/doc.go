// Package e2e tests cloverctl against a real cluster: what it installs runs,
// is asked, and goes without a trace.
package e2e
