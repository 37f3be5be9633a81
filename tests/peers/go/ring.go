// Prints who owns which key by Debian's golang/groupcache; rings.txt holds it. Run it with
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run tests/peers/go/ring.go
//
// The part of rings.txt about the ring `fnv` is by the same program over the package consistenthash of
// mailgun/groupcache v2, which Debian does not have.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/golang/groupcache/consistenthash"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lists := [][]string{
		{"http://127.0.0.1:8001"},
		{"http://a:80", "http://a"},
		{"http://10.0.0.1:8000", "http://10.0.0.2:8000", "http://10.0.0.3:8000"},
		{"http://[::1]:8000", "http://cache-1.example:8000", "http://cache-2.example:8000"},
		{},
	}
	for i := 0; i < 40; i++ {
		lists[4] = append(lists[4], fmt.Sprintf("http://10.1.%d.%d:8080", i%3, i))
	}
	for _, list := range lists {
		ring := consistenthash.New(50, nil)
		ring.Add(list...)
		index := map[string]int{}
		for i, peer := range list {
			index[peer] = i
		}
		fmt.Fprintln(out, "ring groupcache", strings.Join(list, " "))
		for _, key := range keys() {
			fmt.Fprintf(out, "%d %x\n", index[ring.Get(key)], key)
		}
	}
}

func keys() []string {
	keys := []string{"", " ", "a b", "a/b", "a+b", "100%", "schl\u00fcssel", "\x00\xff", strings.Repeat("long", 100)}
	for i := 0; i < 256; i++ {
		keys = append(keys, fmt.Sprintf("key-%d", i*i))
	}
	return keys
}
