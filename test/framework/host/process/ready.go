package process

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// answerTimeout bounds one question: a server may accept connections some time
// before it answers them.
const answerTimeout = 15 * time.Second

// WaitReady asks the URL again and again, with a pause of interval in between,
// and returns when it answers 200. It fails with [ErrExited] when the child
// ends first, and with the context's error joined with the last fault seen.
func (p *Process) WaitReady(ctx context.Context, client *http.Client, url string, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		last := ask(ctx, client, url)
		if last == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return ErrExited
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), last)
		}
	}
}

func ask(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking whether the server is ready: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking whether the server is ready: %s answers %s", url, resp.Status)
	}
	return nil
}
