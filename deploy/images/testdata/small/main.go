// Command small does nothing; tests make images of it.
package main

func main() {}
