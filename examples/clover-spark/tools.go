package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// tools are the programs that Spark and Hadoop run besides Java. In an image
// without a shell they are links to this program.
var tools = map[string]func(args []string) error{"chmod": chmod, "rm": remove, "bash": shell}

// chmod is as Hadoop calls it: chmod MODE FILE..., the mode in octal.
func chmod(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("want MODE FILE..., have %q", args)
	}
	mode, err := strconv.ParseUint(args[0], 8, 16)
	if err != nil || mode > 0o7777 {
		return fmt.Errorf("mode %q: want a number in octal, up to 7777", args[0])
	}
	bits := fs.FileMode(mode & 0o777)
	for from, to := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&from != 0 {
			bits |= to
		}
	}
	for _, file := range args[1:] {
		err = errors.Join(err, os.Chmod(file, bits))
	}
	return err
}

// remove is as Spark calls rm: rm -rf PATH...
func remove(args []string) error {
	if len(args) < 2 || args[0] != "-rf" {
		return fmt.Errorf("want -rf PATH..., have %q", args)
	}
	var err error
	for _, path := range args[1:] {
		if strings.Trim(path, "/.") == "" {
			return fmt.Errorf("%q is not removed", path)
		}
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// shell is as Spark calls bash for the table of Cassandra, of which it is the
// only use: bash -c "clover-spark rows".
func shell(args []string) error {
	if len(args) != 2 || args[0] != "-c" || args[1] != "clover-spark rows" {
		return fmt.Errorf(`there is no shell here; want -c "clover-spark rows", have %q`, args)
	}
	return rows(os.Stdin, os.Stdout)
}
