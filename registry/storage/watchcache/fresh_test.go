package watchcache

import (
	"sync/atomic"
	"testing"
	"time"
)

func TestProgress_AsksAfterEachRequestButNotForEach(t *testing.T) {
	const requests = 1000
	var asked atomic.Int64
	done := make(chan struct{}, requests)
	p := &progress{ask: func() { asked.Add(1); done <- struct{}{} }}
	for range requests {
		p.request()
	}
	before := asked.Load()
	p.request()
	for asked.Load() == before { // the last request has a question of its own or later than itself
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was asked after the last request")
		}
	}
	if got := asked.Load(); got > requests/2 {
		t.Errorf("%d questions for %d requests", got, requests)
	}
}
