//go:build !unix

package recordfile

// SyncDir has nothing to do: this system has no such call for folders.
func SyncDir(string) error { return nil }
