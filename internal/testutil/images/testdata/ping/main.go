// Command ping sends an ICMP echo request to each address that it is given.
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	for _, address := range os.Args[1:] {
		if err := ping(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func ping(address string) error {
	conn, err := net.Dial("ip4:icmp", address)
	if err != nil {
		return err
	}
	// Type 8, checksum, identifier 1, sequence 1.
	if _, err := conn.Write([]byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1}); err != nil {
		return err
	}
	return conn.Close()
}
