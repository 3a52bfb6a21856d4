// Package report writes the numbers of a run for people and for machines:
// a table, JSON, CSV, JUnit's XML for CI, and an HTML page that needs nothing
// besides. It also compares two runs.
package report
