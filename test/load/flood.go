package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// floodCommand makes the program flood a server and do nothing else.
const floodCommand = "flood"

// Kinds of floods.
const (
	floodCreates = "creates" // of ConfigMaps of 1 KiB
	floodLists   = "lists"   // of all ConfigMaps of the workspace
	floodMix     = "mix"     // half of the clients each
	floodRefused = "refused" // with a token that nobody knows
)

// flooding is what the process reads from its standard input, whose end is also
// its own.
type flooding struct {
	Host, Token, URL, Kind, ID string
	CA                         []byte
	Clients                    int
}

// flooded is what it prints: empty when it is underway, and what came of it
// when it ends.
type flooded struct {
	Served, TooMany, Refused, Failed int64
	Seconds                          float64
}

// runFlood is the process.
func runFlood(in io.Reader, out io.Writer) error {
	decoder := json.NewDecoder(in)
	var f flooding
	if err := decoder.Decode(&f); err != nil {
		return fmt.Errorf("reading what to do: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	encoder := json.NewEncoder(out)
	var told error
	counts := floodCounts{underway: func() { told = encoder.Encode(flooded{}) }}
	var wg sync.WaitGroup
	start := time.Now()
	for i := range f.Clients {
		wg.Go(func() { f.client(ctx, i, &counts) })
	}
	_, err := io.Copy(io.Discard, in)
	elapsed := time.Since(start)
	cancel()
	wg.Wait()
	result := flooded{counts.served.Load(), counts.tooMany.Load(), counts.refused.Load(), counts.failed.Load(), elapsed.Seconds()}
	return errors.Join(err, told, encoder.Encode(result))
}

// floodCounts counts requests by what came of them.
type floodCounts struct {
	served, tooMany, refused, failed atomic.Int64

	answered atomic.Int64 // the first three
	underway func()       // called once, when there are as many answers as clients
}

// client sends one request after the other and does not heed Retry-After.
func (f *flooding) client(ctx context.Context, number int, counts *floodCounts) {
	conn, err := crowd.Connect(&rest.Config{Host: f.Host, BearerToken: f.Token, TLSClientConfig: rest.TLSClientConfig{CAData: f.CA}})
	if err != nil {
		counts.failed.Add(1)
		return
	}
	defer conn.Close()
	lists := f.Kind == floodLists || f.Kind == floodMix && number%2 == 0
	for i := 0; ctx.Err() == nil; i++ {
		method, body := http.MethodGet, ""
		if !lists {
			method = http.MethodPost
			body = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"` + f.ID + "-" + strconv.Itoa(number) + "-" + strconv.Itoa(i) +
				`"},"data":{"payload":"` + payload + `"}}`
		}
		code, err := f.send(ctx, conn, method, body)
		count := &counts.failed
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
		case code == http.StatusTooManyRequests:
			count = &counts.tooMany
		case code == http.StatusUnauthorized || code == http.StatusForbidden:
			count = &counts.refused
		case code < http.StatusMultipleChoices:
			count = &counts.served
		}
		count.Add(1)
		if count != &counts.failed && counts.answered.Add(1) == int64(f.Clients) {
			counts.underway()
		}
	}
}

func (f *flooding) send(ctx context.Context, conn *crowd.Connection, method, body string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, method, f.URL+"/api/v1/namespaces/default/configmaps", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := conn.HTTP.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// flood is a flood that goes on.
type flood struct{ helper }

// startFlood begins a flood of a workspace. It returns when the flood is
// underway: the server has answered as many requests as there are clients. On a
// busy machine a process of the lowest priority may take long to get there.
func startFlood(ctx context.Context, c *rest.Config, url, id, kind string, clients int) (*flood, error) {
	token := c.BearerToken
	if kind == floodRefused {
		token = "nobody-knows-it"
	}
	h, err := startHelper(ctx, floodCommand)
	if err != nil {
		return nil, fmt.Errorf("starting the flood: %w", err)
	}
	f := &flood{*h}
	if err := f.ask(flooding{Host: c.Host, Token: token, URL: url, Kind: kind, ID: id, CA: c.CAData, Clients: clients}, &flooded{}); err != nil {
		_, stopped := f.stop()
		return nil, errors.Join(fmt.Errorf("waiting for the first answers to the flood: %w", err), stopped)
	}
	return f, nil
}

// stop ends the flood and tells what came of it.
func (f *flood) stop() (flooded, error) {
	var result flooded
	if err := f.end(&result); err != nil {
		return result, fmt.Errorf("ending the flood: %w", err)
	}
	return result, nil
}
