//go:build race

package command

// raceEnabled is set where the race detector makes programs slow.
const raceEnabled = true
