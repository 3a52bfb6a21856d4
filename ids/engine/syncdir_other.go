//go:build !unix

package engine

// syncDir has nothing to do: this system has no such call for folders.
func syncDir(string) error { return nil }
