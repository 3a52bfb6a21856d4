// Package runnertest is the suite that every runner of plans passes: a server
// that records what arrives, plans that have every element, and the requests
// and results that each of them has to give.
package runnertest
