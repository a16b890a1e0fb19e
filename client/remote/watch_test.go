package remote_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

const (
	first   = "GET /*/api/v1/configmaps?limit=500"
	whole   = "GET /*/api/v1/configmaps"
	watchAt = "GET /*/api/v1/configmaps?allowWatchBookmarks=true&resourceVersion="
)

func TestWatch_DeliversPagesAndGoesOnWhereItWas(t *testing.T) {
	s, c := serve(t,
		page("10", "more", configMap("one", "same", "3"), configMap("two", "same", "4")),
		page("10", "", configMap("two", "x", "5")),
		events(event("MODIFIED", configMap("one", "same", "11")), event("DELETED", configMap("two", "x", "12"))),
		events(bookmark("20")),
		breaks,
		then(events(event("ADDED", configMap("two", "y", "21"))), breaks),
		then(events(event("ADDED", configMap("two", "z", "22")), `{"type":"ADDED","object":{"kind":`), breaks),
		events(event("DELETED", configMap("one", "same", "23"))),
	)
	follow(t, c, configMaps,
		"RESET", "ADDED one|default/same@3", "ADDED two|default/same@4", "ADDED two|default/x@5", "SYNCED",
		"MODIFIED one|default/same@11", "DELETED two|default/x@12", "ADDED two|default/y@21", "ADDED two|default/z@22", "DELETED one|default/same@23")
	want := []string{
		first, first[:len("GET /*/api/v1/configmaps?")] + "continue=more&limit=500",
		watchAt + "10&watch=true", watchAt + "12&watch=true", watchAt + "20&watch=true", watchAt + "20&watch=true",
		watchAt + "21&watch=true", watchAt + "22&watch=true",
	}
	if diff := cmp.Diff(want, s.requests()[:len(want)]); diff != "" {
		t.Error("-want +got:", diff)
	}
}

func TestWatch_StartsOverWhenHistoryIsGone(t *testing.T) {
	for name, gone := range map[string][]answer{
		"an answer that says so":     {fails(http.StatusGone, metav1.StatusReasonExpired)},
		"an event that says so":      {events(event("MODIFIED", configMap("one", "a", "11")), event("ERROR", failure(http.StatusGone, metav1.StatusReasonExpired)))},
		"an event with another code": {events(event("MODIFIED", configMap("one", "a", "11")), event("ERROR", failure(http.StatusGone, metav1.StatusReasonGone)))},
		"an event that nobody can read, and that comes again": {
			events(event("MODIFIED", configMap("one", "a", "11")), event("ADDED", map[string]any{"apiVersion": "v1", "kind": "Nothing"})),
			events(event("ADDED", map[string]any{"apiVersion": "v1", "kind": "Nothing"})),
		},
		"an object of an unknown cluster": {events(event("MODIFIED", configMap("one", "a", "11")), event("ADDED", configMap("", "b", "12")))},
	} {
		t.Run(name, func(t *testing.T) {
			want := []string{"RESET", "ADDED one|default/a@1", "SYNCED"}
			if len(gone) > 1 || name != "an answer that says so" {
				want = append(want, "MODIFIED one|default/a@11")
			}
			script := append([]answer{page("10", "", configMap("one", "a", "1"))}, gone...)
			script = append(script, page("30", "", configMap("two", "a", "25")), events(event("DELETED", configMap("two", "a", "31"))))
			_, c := serve(t, script...)
			follow(t, c, configMaps, append(want, "RESET", "ADDED two|default/a@25", "SYNCED", "DELETED two|default/a@31")...)
		})
	}
}

func TestWatch_ListThatBecomesTooOldIsReadInOnePiece(t *testing.T) {
	s, c := serve(t,
		page("10", "more", configMap("one", "a", "1")),
		fails(http.StatusGone, metav1.StatusReasonExpired),
		page("20", "", configMap("one", "b", "15"), configMap("two", "b", "16")),
	)
	follow(t, c, configMaps, "RESET", "ADDED one|default/a@1", "RESET", "ADDED one|default/b@15", "ADDED two|default/b@16", "SYNCED")
	if got := s.requests()[2]; got != whole {
		t.Errorf("the second list is %q, want %q", got, whole)
	}
}

func TestWatch_TriesToBeginUntilItCan(t *testing.T) {
	_, c := serve(t,
		breaks,
		fails(http.StatusForbidden, metav1.StatusReasonForbidden),
		page("10", "", configMap("", "a", "1")), // of an unknown cluster
		then(page("10", "more", configMap("one", "a", "1")), breaks),
		page("10", "", configMap("one", "a", "1")),
	)
	follow(t, c, configMaps, "RESET", "RESET", "ADDED one|default/a@1", "SYNCED")
}

func TestWatch_UnknownResource(t *testing.T) {
	_, c := serve(t)
	nothing := func(event client.Event) { t.Errorf("event %v", event) }
	if err := c.Watch(t.Context(), configMaps, nothing); !apierrors.IsNotFound(err) {
		t.Errorf("a resource that the server does not serve: %v", err)
	}
	if err := c.Watch(t.Context(), schema.GroupResource{Group: "example.com", Resource: "widgets"}, nothing); !apierrors.IsNotFound(err) {
		t.Errorf("a resource that nobody knows: %v", err)
	}
}

func TestWatch_EndsWithItsContext(t *testing.T) {
	for name, before := range map[string][]answer{
		"while it lists":   nil,
		"while it watches": {page("10", "", configMap("one", "a", "1"))},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{})
			_, c := serve(t, append(before, func(w http.ResponseWriter, req *http.Request) {
				close(asked)
				hangs(w, req)
			})...)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			go func() {
				<-asked
				cancel()
			}()
			if err := c.Watch(ctx, configMaps, func(client.Event) {}); !errors.Is(err, context.Canceled) {
				t.Errorf("err = %v", err)
			}
		})
	}
}
