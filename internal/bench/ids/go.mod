module github.com/opnfv/clover/internal/bench/ids

go 1.26.0

require github.com/opnfv/clover v0.0.0

require (
	github.com/goccy/go-yaml v1.19.2 // indirect
	github.com/google/gonids v0.0.0-20260807222717-2d812602b65f
)

replace github.com/opnfv/clover => ../../..
