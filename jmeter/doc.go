// Package jmeter describes load tests as values: which requests, by how many
// users or at which rate, with which checks.
//
// A [Plan] is read from YAML by [ParsePlan] or from JMeter's own files by
// [ReadJMX], and is written as a file of Apache JMeter 5.6 by [Plan.JMX]. It is
// run by a [Runner]: package builtin needs no JVM, package process starts the
// real JMeter. All of them give [Sample] values.
//
// Text in a plan is data. "${name}" stands for the value of a variable;
// JMeter's functions, such as "${__time()}", are data too unless the plan says
// "functions: true".
package jmeter
