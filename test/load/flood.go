package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// floodCommand makes the program flood a server and do nothing else. It is a
// process of its own, at the lowest priority: what a flood costs those who send
// it is no part of what is measured.
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

// flooded is what it prints when it ends.
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
	var counts floodCounts
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
	return errors.Join(err, json.NewEncoder(out).Encode(result))
}

type floodCounts struct{ served, tooMany, refused, failed atomic.Int64 }

// client sends one request after the other and does not heed Retry-After.
func (f *flooding) client(ctx context.Context, number int, counts *floodCounts) {
	conn, err := connect(&rest.Config{Host: f.Host, BearerToken: f.Token, TLSClientConfig: rest.TLSClientConfig{CAData: f.CA}})
	if err != nil {
		counts.failed.Add(1)
		return
	}
	defer conn.close()
	lists := f.Kind == floodLists || f.Kind == floodMix && number%2 == 0
	for i := 0; ctx.Err() == nil; i++ {
		method, body := http.MethodGet, ""
		if !lists {
			method = http.MethodPost
			body = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"` + f.ID + "-" + strconv.Itoa(number) + "-" + strconv.Itoa(i) +
				`"},"data":{"payload":"` + payload + `"}}`
		}
		code, err := f.send(ctx, conn, method, body)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			counts.failed.Add(1)
		case code == http.StatusTooManyRequests:
			counts.tooMany.Add(1)
		case code == http.StatusUnauthorized || code == http.StatusForbidden:
			counts.refused.Add(1)
		case code < http.StatusMultipleChoices:
			counts.served.Add(1)
		default:
			counts.failed.Add(1)
		}
	}
}

func (f *flooding) send(ctx context.Context, conn *connection, method, body string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, method, f.URL+"/api/v1/namespaces/default/configmaps", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := conn.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// flood is a flood that goes on.
type flood struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

// startFlood begins a flood of a workspace.
func startFlood(ctx context.Context, c *rest.Config, url, id, kind string, clients int) (*flood, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the program: %w", err)
	}
	command := exec.CommandContext(ctx, "nice", "-n", "19", self, floodCommand)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("connecting to the flood: %w", err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("connecting to the flood: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the flood: %w", err)
	}
	token := c.BearerToken
	if kind == floodRefused {
		token = "nobody-knows-it"
	}
	f := &flood{command: command, in: in, out: json.NewDecoder(out)}
	what := flooding{Host: c.Host, Token: token, URL: url, Kind: kind, ID: id, CA: c.CAData, Clients: clients}
	if err := json.NewEncoder(in).Encode(what); err != nil {
		_, stopped := f.stop()
		return nil, errors.Join(fmt.Errorf("telling the flood what to do: %w", err), stopped)
	}
	return f, nil
}

// stop ends the flood and tells what came of it.
func (f *flood) stop() (flooded, error) {
	var result flooded
	err := errors.Join(f.in.Close(), f.out.Decode(&result), f.command.Wait())
	if err != nil {
		return result, fmt.Errorf("ending the flood: %w", err)
	}
	return result, nil
}
