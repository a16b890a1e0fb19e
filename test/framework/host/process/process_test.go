package process

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func start(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start("/bin/sh", []string{"-c", script}, filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatalf("starting a shell: %v", err)
	}
	t.Cleanup(func() { p.Stop(0) })
	return p
}

func TestProcess_StopEndsInOrder(t *testing.T) {
	// The shell's trap runs only when it is asked, not when it is killed.
	p := start(t, `trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.01; done`)
	for !p.Printed("hello") {
		time.Sleep(time.Millisecond)
	}
	if killed := p.Stop(time.Minute); killed {
		t.Error("the process was killed, want an orderly end")
	}
	if got, want := p.Tail(), "hello\ngoodbye"; got != want {
		t.Errorf("output is %q, want %q", got, want)
	}
	if killed := p.Stop(time.Minute); killed {
		t.Error("a second Stop killed something")
	}
}

func TestProcess_StopKillsWhatDoesNotEnd(t *testing.T) {
	p := start(t, `trap '' TERM; echo hello; while :; do sleep 0.01; done`)
	for !p.Printed("hello") {
		time.Sleep(time.Millisecond)
	}
	if killed := p.Stop(50 * time.Millisecond); !killed {
		t.Error("the process ended by itself, want a kill")
	}
}

func TestProcess_KillAsksForNothing(t *testing.T) {
	p := start(t, `trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.01; done`)
	for !p.Printed("hello") {
		time.Sleep(time.Millisecond)
	}
	p.Kill()
	if got := p.Tail(); got != "hello" {
		t.Errorf("output is %q, want no orderly end", got)
	}
	p.Kill() // does nothing
}

func TestProcess_WaitReady(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	never := httptest.NewServer(http.NotFoundHandler())
	defer never.Close()

	if err := start(t, "sleep 60").WaitReady(t.Context(), server.Client(), server.URL, time.Millisecond); err != nil {
		t.Errorf("waiting gives %v, want success at the third answer", err)
	}
	if err := start(t, "exit 0").WaitReady(t.Context(), never.Client(), never.URL, time.Millisecond); !errors.Is(err, ErrExited) {
		t.Errorf("waiting for a process that ends gives %v, want ErrExited", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := start(t, "sleep 60").WaitReady(ctx, never.Client(), never.URL, time.Millisecond)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting in vain gives %v, want the context's error", err)
	}
}

func TestStart_MissingBinary(t *testing.T) {
	_, err := Start("/no/such/binary", nil, filepath.Join(t.TempDir(), "log"))
	if err == nil || !strings.Contains(err.Error(), "/no/such/binary") {
		t.Errorf("error is %v, want one that names the binary", err)
	}
}
