package fairness

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/util/flowcontrol"
)

// slow is a request whose client sends or takes nothing until it is told to go on.
func (w *world) slow(verb string, body io.Reader) <-chan *http.Response {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.server.URL+"/api/v1/configmaps", body)
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Verb", verb)
	r.Header.Set("Cluster", "busy")
	r.Header.Set("User", "mallory")
	responses := make(chan *http.Response, 1)
	go func() {
		resp, err := w.server.Client().Do(r)
		if err != nil {
			w.Error(err)
		}
		responses <- resp
	}()
	return responses
}

// A client that sends or takes its data slowly must not hold the only seat, and its request must not work without one.
func TestFilter_ARequestThatWaitsForItsClient(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 32<<20) // more than connections buffer
	for name, tc := range map[string]struct {
		verb, kind string
		serve      func(w http.ResponseWriter, r *http.Request) error
		begin      func(w *world) (goOn func() *http.Response)
	}{
		"sends slowly": {
			"create", kindWrite,
			func(_ http.ResponseWriter, r *http.Request) error {
				_, err := io.ReadAll(r.Body)
				return err
			},
			func(w *world) func() *http.Response {
				body, send := io.Pipe()
				responses := w.slow("create", body)
				return func() *http.Response {
					if _, err := send.Write([]byte("x")); err != nil {
						t.Error(err)
					}
					_ = send.Close()
					return <-responses
				}
			},
		},
		"takes slowly": {
			"list", kindRead,
			func(w http.ResponseWriter, _ *http.Request) error {
				_, err := w.Write(data)
				return err
			},
			func(w *world) func() *http.Response {
				resp := <-w.slow("list", nil)
				return func() *http.Response {
					if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(data)) {
						t.Errorf("%d bytes (%v)", n, err)
					}
					return resp
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			hold := newGate()
			served := make(chan error, 1)
			w := newWorld(t, Config{Reads: 10, Writes: 10, Seats: 1}, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("User") == "mallory" {
					served <- tc.serve(w, r)
				} else {
					hold.pass(w, r)
				}
			})
			t.Cleanup(hold.open)
			w.limiter.patience = 0
			goOn := tc.begin(w)
			eventually(t, "it is in flight, and its seat is free", func() bool {
				return w.metric("annex_fairness_requests_executing", tc.kind) == 1 && w.metric("annex_fairness_seats_in_use", "") == 0
			})
			alice := make(chan answer, 1)
			go func() { alice <- w.ask("get", "busy", "alice") }()
			eventually(t, "somebody else has the seat", func() bool { return w.metric("annex_fairness_seats_in_use", "") == 1 })

			done := make(chan *http.Response, 1)
			go func() { done <- goOn() }()
			eventually(t, "it waits for a seat", func() bool { return w.metric("annex_fairness_requests_waiting", tc.kind) == 1 })
			select {
			case <-served:
				t.Error("it continued without a seat")
			default:
			}
			hold.open()
			if err := <-served; err != nil {
				t.Error(err)
			}
			resp := <-done
			_ = resp.Body.Close()
			if got := <-alice; got.code != http.StatusOK || resp.StatusCode != http.StatusOK {
				t.Errorf("%d, and %+v for the other; want 200", resp.StatusCode, got)
			}
			eventually(t, "nothing is in use", func() bool {
				return w.metric("annex_fairness_seats_in_use", "") == 0 && w.metric("annex_fairness_requests_executing", tc.kind) == 0
			})
		})
	}
}

func TestFilter_ARequestThatFindsNoSeatAgainMustNotContinue(t *testing.T) {
	hold := newGate()
	w := newWorld(t, Config{Reads: 10, Writes: 10, Seats: 1, Wait: 1}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User") != "mallory" {
			hold.pass(w, r)
			return
		}
		_, err := io.ReadAll(r.Body)
		if _, again := r.Body.Read(make([]byte, 1)); err == nil || again == nil || err.Error() != again.Error() {
			t.Errorf("%v, then %v, want the same refusal", err, again)
		}
		w.WriteHeader(http.StatusTooManyRequests)
	})
	t.Cleanup(hold.open)
	w.limiter.patience = 0
	body, send := io.Pipe()
	responses := w.slow("create", body)
	eventually(t, "it waits for its client", func() bool {
		return w.metric("annex_fairness_requests_executing", kindWrite) == 1 && w.metric("annex_fairness_seats_in_use", "") == 0
	})
	go w.ask("get", "busy", "alice")
	eventually(t, "somebody else has the seat", func() bool { return w.metric("annex_fairness_seats_in_use", "") == 1 })
	_ = send.Close()
	resp := <-responses
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests || w.metric("annex_fairness_rejected_total", kindWrite) != 1 {
		t.Errorf("%d, want a refusal", resp.StatusCode)
	}
}

func TestWaiting(t *testing.T) {
	hold := newGate()
	w := newWorld(t, Config{Reads: 10, Seats: 1}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User") == "mallory" {
			if err := Waiting(r.Context(), func() error { hold.pass(w, r); return nil }); err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(hold.open)
	w.limiter.patience = 0
	mallory := make(chan answer, 1)
	go func() { mallory <- w.ask("get", "busy", "mallory") }()
	eventually(t, "its seat is free", func() bool {
		return w.metric("annex_fairness_requests_executing", kindRead) == 1 && w.metric("annex_fairness_seats_in_use", "") == 0
	})
	if got := w.ask("get", "busy", "alice"); got.code != http.StatusOK {
		t.Errorf("%+v, want 200", got)
	}
	hold.open()
	if got := <-mallory; got.code != http.StatusOK {
		t.Errorf("%+v, want 200", got)
	}
	if err := Waiting(t.Context(), func() error { return io.EOF }); err != io.EOF { //nolint:errorlint // it must be returned as it is
		t.Errorf("without a turn: %v", err)
	}
}

// Who waits for another workspace takes places of that one, and others have the seat meanwhile.
func TestOnAccount(t *testing.T) {
	hold := newGate()
	w := newWorld(t, Config{Reads: 9, Seats: 1}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User") != "mallory" {
			return
		}
		if err := OnAccount(r.Context(), "provider", func() error { hold.pass(w, r); return nil }); err != nil {
			status, _ := err.(apierrors.APIStatus)
			w.WriteHeader(int(status.Status().Code))
		}
	})
	t.Cleanup(hold.open)
	mallory := make(chan answer, 20)
	// Each waits in a workspace of its own, whose share is large enough.
	for i := range 20 {
		go func() { mallory <- w.ask("get", fmt.Sprint("consumer-", i), "mallory") }()
	}
	refused := 0
	for range 17 {
		if got := <-mallory; got.code == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 17 {
		t.Errorf("%d are refused while the share of the provider is used up", refused)
	}
	eventually(t, "their seats are free", func() bool { return w.metric("annex_fairness_seats_in_use", "") == 0 })
	for _, cluster := range []string{"consumer-0", "consumer-1", "other"} {
		if got := w.ask("get", cluster, "alice"); got.code != http.StatusOK {
			t.Errorf("%s: %+v, want 200", cluster, got)
		}
	}
	hold.open()
	for range 3 {
		if got := <-mallory; got.code != http.StatusOK {
			t.Errorf("%+v, want 200", got)
		}
	}
	eventually(t, "nothing is in use", func() bool {
		return w.metric("annex_fairness_requests_executing", kindRead) == 0 && w.limiter.reads.used == 0
	})
	if err := OnAccount(t.Context(), "provider", func() error { return io.EOF }); err != io.EOF { //nolint:errorlint // it must be returned as it is
		t.Errorf("without a turn: %v", err)
	}
}

// A watch that works on its initial events keeps its seat, however long that takes, and gives it to others while its client does not read.
func TestFilter_AWatchBegins(t *testing.T) {
	work, begin, end := newGate(), newGate(), newGate()
	w := newWorld(t, Config{Reads: 10, Seats: 1, Watches: 4}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Verb") != "watch" {
			return
		}
		work.pass(w, r)
		if err := Waiting(r.Context(), func() error { begin.pass(w, r); return nil }); err != nil {
			t.Error(err)
		}
		flowcontrol.WatchInitialized(r.Context())
		if _, err := w.Write([]byte("a later event")); err != nil {
			t.Error(err)
		}
		end.pass(w, r)
	})
	t.Cleanup(end.open)
	t.Cleanup(begin.open)
	t.Cleanup(work.open)
	w.limiter.patience = 0
	watch, get := make(chan answer, 1), make(chan answer, 1)
	go func() { watch <- w.ask("watch", "busy", "mallory") }()
	eventually(t, "it works", func() bool { return w.metric("annex_fairness_seats_in_use", "") == 1 })
	go func() { get <- w.ask("get", "busy", "mallory") }()
	eventually(t, "another request waits", func() bool { return w.metric("annex_fairness_requests_waiting", kindRead) == 1 })
	work.open()
	if got := <-get; got.code != http.StatusOK {
		t.Errorf("while it waits: %+v", got)
	}
	begin.open()
	eventually(t, "it has begun", func() bool { return w.metric("annex_fairness_requests_executing", kindRead) == 0 })
	if n := w.metric("annex_fairness_seats_in_use", ""); n != 0 {
		t.Errorf("an open watch has %v seats", n)
	}
	end.open()
	if got := <-watch; got.code != http.StatusOK {
		t.Errorf("%+v, want 200", got)
	}
}
