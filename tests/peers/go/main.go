// A peer of golang/groupcache, as its users write one: for the tests of the peer protocol.
//
//	go run main.go -self http://127.0.0.1:8001 -peers http://127.0.0.1:8001,http://127.0.0.1:8002 \
//	    -group values -origin http://127.0.0.1:9000/
//
// Beside groupcache's own path it serves /get?key=KEY, which asks the group as a client of this process
// does, and /stats, the group's counters as JSON. The value of a key is what the origin answers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"

	"github.com/golang/groupcache"
)

func main() {
	self := flag.String("self", "", "this peer's URL")
	peers := flag.String("peers", "", "all peers' URLs, with commas between them")
	name := flag.String("group", "values", "the group's name")
	origin := flag.String("origin", "", "where a key is loaded from, which is appended")
	flag.Parse()

	pool := groupcache.NewHTTPPool(*self)
	pool.Set(strings.Split(*peers, ",")...)
	group := groupcache.NewGroup(*name, 1<<20, groupcache.GetterFunc(
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
