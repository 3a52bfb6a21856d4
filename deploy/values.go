package deploy

import "strings"

// ValuesError says which values the chart does not take, and why.
type ValuesError struct {
	// Problems has a line for each value at fault, as "controller.replicas:
	// got string, want integer".
	Problems []string
}

func (e *ValuesError) Error() string {
	return "deploy: values: " + strings.Join(e.Problems, "; ")
}

func valuesError(err error) error {
	return &ValuesError{Problems: strings.Split(err.Error(), "\n")}
}
