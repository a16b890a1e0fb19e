package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"github.com/annex-dev/annex/test/framework/crowd"
)

func newFakeClient(objects ...runtime.Object) *fake.FakeDynamicClient {
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{workspaces: "WorkspaceList"}, objects...)
}

func withPhase(name, phase string) *unstructured.Unstructured {
	ws := newWorkspace(name, "root:universal")
	ws.Object["status"] = map[string]any{"phase": phase}
	return ws
}

func trackForTest(t *testing.T, client dynamic.Interface) *tracker {
	t.Helper()
	c, err := crowd.Connect(&rest.Config{Host: "http://unused.invalid"})
	if err != nil {
		t.Fatalf("making a connection: %v", err)
	}
	tr, err := track(t.Context(), c, client.Resource(workspaces))
	if err != nil {
		t.Fatalf("tracking: %v", err)
	}
	t.Cleanup(tr.close)
	return tr
}

func TestTracker_SeesReadyAndGone(t *testing.T) {
	client := newFakeClient()
	r := client.Resource(workspaces)
	tr := trackForTest(t, client)

	ready, other := tr.expect("a", hasPhase("Ready")), tr.expect("b", hasPhase("Ready"))
	start := time.Now()
	if _, err := r.Create(t.Context(), withPhase("a", "Scheduling"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Update(t.Context(), withPhase("a", "Ready"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	at, err := ready(t.Context())
	if err != nil || at.Before(start) {
		t.Errorf("Ready was seen at %s (%v), want after %s", at, err, start)
	}
	gone := tr.expect("a", isGone)
	if err := r.Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := gone(t.Context()); err != nil {
		t.Errorf("waiting for the end: %v", err)
	}

	// Nothing of this was about the other one.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := other(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for b gives %v, want the end of its time", err)
	}
}

func TestTracker_ListsAgainWhenTheWatchEnds(t *testing.T) {
	for _, end := range []struct {
		name string
		how  func(*watch.FakeWatcher)
	}{
		{"closed", func(w *watch.FakeWatcher) { w.Stop() }},
		{"expired", func(w *watch.FakeWatcher) {
			w.Error(&metav1.Status{Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReasonExpired})
		}},
	} {
		t.Run(end.name, func(t *testing.T) {
			client := newFakeClient(withPhase("old", "Ready"))
			first := watch.NewFake()
			var watches atomic.Int32
			client.PrependWatchReactor("workspaces", func(clienttesting.Action) (bool, watch.Interface, error) {
				if watches.Add(1) == 1 {
					return true, first, nil
				}
				return false, nil, nil // the tracker of the fake client
			})
			tr := trackForTest(t, client)

			// Both changes happen unseen by the first watch.
			ready, gone := tr.expect("new", hasPhase("Ready")), tr.expect("old", isGone)
			if _, err := client.Resource(workspaces).Create(t.Context(), withPhase("new", "Ready"), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := client.Resource(workspaces).Delete(t.Context(), "old", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			end.how(first)
			if _, err := ready(t.Context()); err != nil {
				t.Errorf("waiting for Ready: %v", err)
			}
			if _, err := gone(t.Context()); err != nil {
				t.Errorf("waiting for the end: %v", err)
			}
		})
	}
}

// parted lists in parts, which the fake client cannot.
type parted struct {
	dynamic.ResourceInterface
	list func(continued string) (*unstructured.UnstructuredList, error)
}

func (p parted) List(_ context.Context, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	return p.list(options.Continue)
}

func TestTracker_ReadsALongListInParts(t *testing.T) {
	client := newFakeClient()
	first := watch.NewFake()
	var watches atomic.Int32
	client.PrependWatchReactor("workspaces", func(clienttesting.Action) (bool, watch.Interface, error) {
		if watches.Add(1) == 1 {
			return true, first, nil
		}
		return true, watch.NewFake(), nil // which shows nothing
	})
	parts := map[string]struct {
		item *unstructured.Unstructured
		next string
	}{
		"": {withPhase("a", "Ready"), "2"}, "2": {withPhase("kept", "Ready"), "3"}, "3": {withPhase("new", "Ready"), ""},
	}
	var asked []string
	resource := parted{client.Resource(workspaces), func(continued string) (*unstructured.UnstructuredList, error) {
		asked = append(asked, continued)
		list := &unstructured.UnstructuredList{}
		switch len(asked) {
		case 1: // there is nothing yet
			return list, nil
		case 3: // the second list breaks off
			return nil, apierrors.NewResourceExpired("compacted")
		}
		list.Items = append(list.Items, *parts[continued].item)
		list.SetContinue(parts[continued].next)
		return list, nil
	}}
	c, err := crowd.Connect(&rest.Config{Host: "http://unused.invalid"})
	if err != nil {
		t.Fatalf("making a connection: %v", err)
	}
	tr, err := track(t.Context(), c, resource)
	if err != nil {
		t.Fatalf("tracking: %v", err)
	}
	ready, gone, kept := tr.expect("new", hasPhase("Ready")), tr.expect("old", isGone), tr.expect("kept", isGone)
	first.Stop()
	if _, err := ready(t.Context()); err != nil {
		t.Errorf("waiting for what the last part shows: %v", err)
	}
	if _, err := gone(t.Context()); err != nil {
		t.Errorf("waiting for what no part shows: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := kept(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("what another part shows counts as gone: %v", err)
	}
	tr.close()
	if diff := cmp.Diff([]string{"", "", "2", "", "2", "3"}, asked); diff != "" {
		t.Errorf("parts that were asked for (-want +got):\n%s", diff)
	}
}

func TestTracker_FailureReachesWhoWaits(t *testing.T) {
	client := newFakeClient()
	first := watch.NewFake()
	client.PrependWatchReactor("workspaces", func(clienttesting.Action) (bool, watch.Interface, error) { return true, first, nil })
	tr := trackForTest(t, client)
	wait := tr.expect("a", hasPhase("Ready"))

	client.PrependReactor("list", "workspaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("out of order")
	})
	first.Stop()
	if _, err := wait(t.Context()); err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("waiting gives %v, want the fault of the list", err)
	}
}
