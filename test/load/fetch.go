package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// fetch asks for a URL and gives the body of the answer to read. An answer other
// than 200 is an error.
func fetch(ctx context.Context, c *crowd.Connection, url, accept string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking: %s answers %s", url, resp.Status)
	}
	return read(resp.Body)
}

// discard reads to the end.
func discard(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
