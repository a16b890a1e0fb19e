package schema

import (
	"context"
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

// ends waits until so many of the contexts have ended, and returns which.
func ends(t *testing.T, contexts []context.Context, want int) []bool {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		ended, n := make([]bool, len(contexts)), 0
		for i, ctx := range contexts {
			if ended[i] = ctx.Err() != nil; ended[i] {
				n++
			}
		}
		if n == want {
			return ended
		}
		if n > want || time.Now().After(deadline) {
			t.Fatalf("%d of %d have ended, want %d", n, len(contexts), want)
		}
	}
}

func TestWaits_FewAreLong(t *testing.T) {
	w := &waits{short: 50 * time.Millisecond}
	begin := func(n int) (all []*waiting, contexts []context.Context) {
		for range n {
			one, ctx := w.begin(t.Context())
			all, contexts = append(all, one), append(contexts, ctx)
		}
		return all, contexts
	}
	all, contexts := begin(mostLong + 3)
	// That there are many says nothing about the webhook.
	for i, ended := range ends(t, contexts, 3) {
		if ended {
			all[i].end(false)
		}
	}
	if w.silent {
		t.Error("those who did not wait long say that it does not answer")
	}
	for i := range all {
		all[i].end(false)
		all[i].end(false)
	}
	if !w.silent || w.long != 0 {
		t.Errorf("after no answer, %d wait", w.long)
	}
	// Nobody is refused, and nobody waits long.
	all, contexts = begin(3)
	ends(t, contexts, 3)
	for _, one := range all {
		one.end(false)
	}
	answered, _ := w.begin(t.Context())
	answered.end(true)
	all, contexts = begin(mostLong + 1)
	ends(t, contexts, 1)
	for _, one := range all {
		one.end(true)
	}
	if w.silent || w.long != 0 {
		t.Errorf("after an answer: silent %t, %d wait", w.silent, w.long)
	}
}

// An error that comes at once is an answer: nobody has waited.
func TestWaits_ErrorsAreAnswers(t *testing.T) {
	w := &waits{short: time.Minute}
	one, _ := w.begin(t.Context())
	one.end(false)
	if w.silent {
		t.Error("it counts as silent")
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
	// Another consumer is not refused because of that, but does not wait long.
	s.serve("second", "hash", hook.definition(t, func(d *apiextensionsv1.CustomResourceDefinition) {
		d.Annotations = map[string]string{"apis.kcp.io/schema-cluster": "provider"}
	}))
	s.must(http.StatusCreated, http.MethodPost, "second"+gizmosV1, asJSON, gizmo("a", "v1", `{"address":"one:1"}`))
	began := time.Now()
	s.must(http.StatusInternalServerError, http.MethodGet, "second"+gizmosV2+"/a", "", "")
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("another consumer has waited %v", took)
	}
	s.must(http.StatusServiceUnavailable, http.MethodGet, "second"+gizmosV2+"/a", "", "")
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
