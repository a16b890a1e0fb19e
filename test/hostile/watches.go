package hostile

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// perWatch is how many objects there are for each watch.
	perWatch = 22
	// held is how long a watch stays open in a figure, or less if the attack ends before.
	held = 20 * time.Second
)

// prepareWatches makes n objects of 4 KiB, of which every tenth is blue. The attack opens watches for the blue ones, and changes them.
func prepareWatches(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	const group, plural = "watched.example", "watches"
	path, owner, err := s.newOwner(ctx, "watches")
	if err != nil {
		return nil, err
	}
	crd := definition(group, plural, object{"type": "object", "properties": object{"color": text, "text": text}})
	crd["spec"].(object)["versions"].([]any)[0].(object)["selectableFields"] = []any{object{"jsonPath": ".spec.color"}}
	if _, err := owner.must(ctx, http.MethodPost, definitionsPath, encode(crd), http.StatusCreated); err != nil {
		return nil, err
	}
	if err := owner.until(ctx, customPath(group, plural), plural+" are served", ok); err != nil {
		return nil, err
	}
	long, blue := strings.Repeat("x", 4<<10), 0
	color := func(i int) string {
		if i%10 == 0 {
			return "blue"
		}
		return "red"
	}
	for i := range n {
		if color(i) == "blue" {
			blue++
		}
	}
	err = s.storm(ctx, attacker, path, 8, n, func(ctx context.Context, t *tenant, i int) error {
		_, err := t.must(ctx, http.MethodPost, customPath(group, plural), custom(group, plural, fmt.Sprintf("w%d", i), object{"color": color(i), "text": long}), http.StatusCreated)
		return err
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		defer owner.close()
		watches, watching := errgroup.WithContext(ctx)
		watching, stop := context.WithCancel(watching)
		defer func() {
			stop()
			_ = watches.Wait() // complete has all errors
		}()
		query := customPath(group, plural) + "?watch=true&fieldSelector=spec.color%3Dblue&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
		complete := make(chan error)
		count := n/perWatch + 1
		for range count {
			watches.Go(func() error {
				t, err := s.as(attacker, path)
				if err != nil {
					return err
				}
				defer t.close()
				err = t.watchBlue(watching, query, blue)
				select {
				case complete <- err:
				case <-watching.Done():
				}
				<-watching.Done()
				return nil
			})
		}
		limit, cancel := context.WithTimeout(ctx, held)
		defer cancel()
		for range count {
			select {
			case err := <-complete:
				if err != nil {
					return unlessOver(ctx, err)
				}
			case <-ctx.Done():
				return nil
			}
		}
		return s.storm(limit, attacker, path, 1, n, func(ctx context.Context, t *tenant, i int) error {
			a, err := t.send(ctx, http.MethodPatch, customPath(group, plural)+fmt.Sprintf("/w%d", i), fmt.Sprintf(`{"spec":{"text":"%d%s"}}`, i, long), mergePatch)
			if err == nil && a.code != http.StatusOK && a.code != http.StatusTooManyRequests {
				err = fmt.Errorf("changing what is watched: %d %.500s", a.code, a.body)
			}
			return err
		})
	}, nil
}

// watchBlue opens a watch, and returns when it has said want times that a blue object is there, and nothing of others. The watch stays
// open until the context ends.
func (t *tenant) watchBlue(ctx context.Context, query string, want int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base+query, nil)
	if err != nil {
		return err
	}
	response, err := t.conn.HTTP.Do(request)
	if err != nil {
		return fmt.Errorf("opening a watch: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = response.Body.Close() })
	if response.StatusCode == http.StatusTooManyRequests {
		return nil
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for seen := 0; lines.Scan(); {
		line := lines.Bytes()
		t.scene.judge(t.user, http.MethodGet, query, answer{code: response.StatusCode, body: line})
		switch {
		case bytes.Contains(line, []byte("k8s.io/initial-events-end")):
			if seen != want {
				return fmt.Errorf("a watch began with %d objects, want %d", seen, want)
			}
			return nil
		case !bytes.Contains(line, []byte(`"color":"blue"`)):
			return fmt.Errorf("a watch for blue objects says %.300s", line)
		}
		seen++
	}
	return fmt.Errorf("a watch ended before its initial events did: %d, %w", response.StatusCode, lines.Err())
}
