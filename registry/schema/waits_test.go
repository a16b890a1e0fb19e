package schema

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	clientrest "k8s.io/client-go/rest"

	"github.com/annex-dev/annex/registry/catalog"
)

// hurried are webhooks that have little time.
type hurried struct{ unguarded }

func (hurried) ClientConfigFor(string) (*clientrest.Config, error) {
	return &clientrest.Config{Timeout: 2 * time.Second}, nil
}

func TestWaits_FewAreLong(t *testing.T) {
	w := &waits{short: 50 * time.Millisecond}
	var all []*waiting
	var contexts []context.Context
	for range mostLong + 3 {
		one, ctx, err := w.begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all, contexts = append(all, one), append(contexts, ctx)
	}
	cut := 0
	for deadline := time.After(time.Minute); cut < 3; {
		cut = 0
		for _, ctx := range contexts {
			if ctx.Err() != nil {
				cut++
			}
		}
		select {
		case <-deadline:
			t.Fatalf("%d of %d end", cut, len(all))
		case <-time.After(time.Millisecond):
		}
	}
	// That there are many says nothing about the webhook.
	for i, ctx := range contexts {
		if ctx.Err() != nil {
			all[i].end(false)
		}
	}
	if w.rest() != 0 {
		t.Error("those who did not wait long say that it does not answer")
	}
	for i := range all {
		all[i].end(false)
		all[i].end(false)
	}
	if w.rest() == 0 || w.long != 0 {
		t.Errorf("after no answer, %d wait", w.long)
	}
	if _, _, err := w.begin(t.Context()); !errors.Is(err, errUnanswered) {
		t.Errorf("got %v", err)
	}
	time.Sleep(w.rest())
	probe, ctx, err := w.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.begin(t.Context()); !errors.Is(err, errUnanswered) {
		t.Errorf("two ask at a time: %v", err)
	}
	<-ctx.Done()
	probe.end(false)
	if w.rest() == 0 {
		t.Error("it does not rest after another silence")
	}
	time.Sleep(w.rest())
	if probe, _, err = w.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	probe.end(true)
	for range 3 {
		if _, _, err := w.begin(t.Context()); err != nil {
			t.Errorf("after an answer: %v", err)
		}
	}
}

// An error that comes at once is an answer: nobody has waited.
func TestWaits_ErrorsAreAnswers(t *testing.T) {
	w := &waits{short: time.Minute}
	for range 3 {
		one, _, err := w.begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		one.end(false)
	}
	if w.rest() != 0 {
		t.Error("it rests")
	}
}

// The webhook of a provider does not answer. Consumers learn it soon, and use the stored version meanwhile.
func TestConversion_ProviderThatDoesNotAnswer(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Webhooks, c.ShortWait = hurried{}, 200*time.Millisecond })
	hook := newConversions(t)
	s.serve("consumer", "hash", hook.definition(t, func(d *apiextensionsv1.CustomResourceDefinition) {
		d.Annotations = map[string]string{"apis.kcp.io/schema-cluster": "provider"}
	}))
	s.must(http.StatusCreated, http.MethodPost, "consumer"+gizmosV1, asJSON, gizmo("a", "v1", `{"address":"one:1"}`))
	s.must(http.StatusOK, http.MethodGet, "consumer"+gizmosV2+"/a", "", "")
	hang := make(chan struct{})
	hook.set("", func(map[string]any) { <-hang })
	var long sync.Map
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			began := time.Now()
			s.do(http.MethodGet, "consumer"+gizmosV2+"/a", "", "")
			if time.Since(began) > 1500*time.Millisecond {
				long.Store(i, true)
			}
		})
	}
	all.Wait()
	n := 0
	long.Range(func(any, any) bool { n++; return true })
	if n > mostLong {
		t.Errorf("%d requests have waited for the webhook's own timeout", n)
	}
	status, got := s.do(http.MethodGet, "consumer"+gizmosV2+"/a", "", "")
	message, _ := got["message"].(string)
	if after, _ := at(got, "details", "retryAfterSeconds").(float64); status != http.StatusServiceUnavailable || after < 1 || !strings.Contains(message, "the webhook of the provider of gizmos.example.com does not answer") {
		t.Errorf("%d: %v", status, got)
	}
	s.must(http.StatusOK, http.MethodGet, "consumer"+gizmosV1+"/a", "", "")
	s.must(http.StatusOK, http.MethodGet, "consumer"+gizmosV1, "", "")
	// A workspace with a definition of its own has nothing to do with it.
	own := newConversions(t)
	s.serve("other", catalog.LocalBucket, own.definition(t, nil))
	s.must(http.StatusCreated, http.MethodPost, "other"+gizmosV1, asJSON, gizmo("a", "v1", `{"address":"one:1"}`))
	s.must(http.StatusOK, http.MethodGet, "other"+gizmosV2+"/a", "", "")
	close(hang)
	hook.set("", nil)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if status, got = s.do(http.MethodGet, "consumer"+gizmosV2+"/a", "", ""); status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after it answers again: %d %v", status, got)
		}
	}
}
