// Package validation tests load tests as users have them: JMeter's master and
// slaves installed into a real cluster, outside of a mesh and inside, driven and
// removed by the program cloverctl.
package validation
