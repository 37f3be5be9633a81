// A peer of golang/groupcache, as its users write one: for the tests of the peer protocol, and to be measured beside.
//
//	go run main.go -self http://127.0.0.1:8001 -peers http://127.0.0.1:8001,http://127.0.0.1:8002 \
//	    -group values -origin http://127.0.0.1:9000/
//
// Beside groupcache's own path it serves /get?key=KEY, which asks the group as a client of this process
// does, and /stats, the group's counters as JSON. The value of a key is what the origin answers.
// With -memcache it also answers memcache's `get` of one key, so that a load generator can ask.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/golang/groupcache"
)

func main() {
	self := flag.String("self", "", "this peer's URL")
	peers := flag.String("peers", "", "all peers' URLs, with commas between them")
	name := flag.String("group", "values", "the group's name")
	origin := flag.String("origin", "", "where a key is loaded from, which is appended")
	cacheBytes := flag.Int64("cache-bytes", 1<<20, "keys and values that are kept; 0 keeps nothing")
	memcache := flag.String("memcache", "", "where memcache's get is answered, if anywhere")
	flag.Parse()

	// Go keeps two idle connections to a host unless it is told otherwise; under load that is a new one
	// for nearly every request, to the origin and to peers.
	transport := http.DefaultTransport.(*http.Transport)
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 4096

	pool := groupcache.NewHTTPPool(*self)
	pool.Set(strings.Split(*peers, ",")...)
	group := groupcache.NewGroup(*name, *cacheBytes, groupcache.GetterFunc(
		func(_ context.Context, key string, dest groupcache.Sink) error {
			body, err := load(*origin, key)
			if err != nil {
				return err
			}
			return dest.SetBytes(body)
		}))

	http.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		var value []byte
		err := group.Get(r.Context(), r.URL.Query().Get("key"), groupcache.AllocatingByteSliceSink(&value))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(value)
	})
	http.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(&group.Stats)
	})
	if *memcache != "" {
		listener, err := net.Listen("tcp", *memcache)
		if err != nil {
			log.Fatal(err)
		}
		go accept(listener, group)
	}
	log.Fatal(http.ListenAndServe(strings.TrimPrefix(*self, "http://"), nil))
}

func load(origin, key string) ([]byte, error) {
	response, err := http.Get(origin + url.PathEscape(key))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.New("origin answered " + response.Status)
	}
	return body, nil
}

func accept(listener net.Listener, group *groupcache.Group) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go answer(conn, group)
	}
}

// answer asks the group at the same time for all keys whose requests have come together, as a front that
// pipelines would, and answers in order.
func answer(conn net.Conn, group *groupcache.Group) {
	defer conn.Close()
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	for {
		var replies []*string
		var asked sync.WaitGroup
		for len(replies) == 0 || in.Buffered() > 0 {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			reply := new(string)
			replies = append(replies, reply)
			asked.Add(1)
			go func() {
				*reply = memcacheReply(group, strings.TrimSpace(line))
				asked.Done()
			}()
		}
		asked.Wait()
		for _, reply := range replies {
			out.WriteString(*reply)
		}
		if out.Flush() != nil {
			return
		}
	}
}

func memcacheReply(group *groupcache.Group, line string) string {
	if !strings.HasPrefix(line, "get ") {
		return "ERROR\r\n"
	}
	key := line[len("get "):]
	var value []byte
	err := group.Get(context.Background(), key, groupcache.AllocatingByteSliceSink(&value))
	if err != nil {
		return "SERVER_ERROR " + err.Error() + "\r\n"
	}
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", key, len(value), value)
}
