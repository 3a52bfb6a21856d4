// Package spinnakertest has stand-ins of Halyard's daemon and of Gate for
// tests: HTTP handlers that keep state and follow the real servers route by
// route. They answer what those answer, also where that is odd: a task that
// Halyard does not know is 200 with nothing, accounts that do not exist are a
// failed task, and a pipeline that does not exist is deleted with success.
// Each behaviour names the source file that it follows, of
// github.com/spinnaker/halyard at 23e66d693 and github.com/spinnaker/spinnaker
// at 8f1801da9.
//
// Faults can be told to happen: slow, broken, huge and foreign answers, tasks
// that are lost, time out or are interrupted, and a daemon that restarts.
//
// What they do not do: they ask no registry and no cluster, evaluate no
// expressions, and know nothing of permissions.
package spinnakertest
