// Command counter serves, on port 8080, how often it was asked; it keeps the
// number in a file.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
)

func main() {
	file := os.Args[1]
	var mu sync.Mutex
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		data, _ := os.ReadFile(file)
		n, _ := strconv.Atoi(string(data))
		n++
		if err := os.WriteFile(file, []byte(strconv.Itoa(n)), 0o644); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, n)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
