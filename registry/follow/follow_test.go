package follow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/client"
)

func at(version, name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}}
}

// ended returns a watch that delivers events and ends.
func ended(events ...watch.Event) watch.Interface {
	w := watch.NewFakeWithChanSize(len(events), false)
	for _, event := range events {
		w.Action(event.Type, event.Object)
	}
	w.Stop()
	return w
}

// A watch that ends goes on from the last event or bookmark; one whose history is gone begins anew, and so does one with an
// event that cannot be read.
func TestRun_GoesOnOrStartsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	gone := apierrors.NewResourceExpired("compacted").Status()
	away := apierrors.NewServiceUnavailable("away").Status()
	watches := []func() (watch.Interface, error){
		func() (watch.Interface, error) {
			return ended(watch.Event{Type: watch.Added, Object: at("6", "b")}, watch.Event{Type: watch.Bookmark, Object: at("7", "")}), nil
		},
		func() (watch.Interface, error) { return nil, errors.New("no etcd") },
		func() (watch.Interface, error) {
			return ended(watch.Event{Type: watch.Deleted, Object: at("8", "b")}, watch.Event{Type: watch.Error, Object: &away}), nil
		},
		func() (watch.Interface, error) { return ended(watch.Event{Type: watch.Error, Object: &gone}), nil },
		func() (watch.Interface, error) {
			return ended(watch.Event{Type: watch.Modified, Object: at("9", "broken")}), nil
		},
		func() (watch.Interface, error) { cancel(); return ended(), nil },
	}
	var got []string
	err := Run(ctx, Source[string]{
		Name: "things",
		List: func(_ context.Context, next string) (Page[string], error) {
			if next == "" {
				return Page[string]{Items: []string{"a"}, Version: "5", Next: "more"}, nil
			}
			return Page[string]{Items: []string{"c"}, Version: "5"}, nil
		},
		Watch: func(_ context.Context, resourceVersion string) (watch.Interface, error) {
			got = append(got, "watch from "+resourceVersion)
			next := watches[0]
			watches = watches[1:]
			return next()
		},
		Read: func(obj runtime.Object) (string, error) {
			if name := obj.(*corev1.ConfigMap).Name; name != "broken" {
				return name, nil
			}
			return "", errors.New("broken")
		},
	}, func(event client.EventType, name string) { got = append(got, fmt.Sprint(event, " ", name)) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	fresh := []string{"RESET ", "ADDED a", "ADDED c", "SYNCED ", "watch from 5"}
	want := slices.Concat(fresh, []string{"ADDED b", "watch from 7", "watch from 7", "DELETED b", "watch from 8"}, fresh, fresh)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// What was known is out of date as soon as the history is gone, not only when the next list works.
func TestRun_ResetsBeforeAListThatFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	lists := 0
	var got []client.EventType
	err := Run(ctx, Source[string]{
		Name: "things",
		List: func(_ context.Context, next string) (Page[string], error) {
			if lists++; lists == 1 {
				return Page[string]{Version: "5"}, nil
			}
			if next == "" {
				return Page[string]{Items: []string{"a"}, Version: "6", Next: "more"}, nil
			}
			cancel()
			return Page[string]{}, errors.New("one object cannot be read")
		},
		Watch: func(context.Context, string) (watch.Interface, error) {
			return nil, apierrors.NewResourceExpired("compacted")
		},
	}, func(event client.EventType, _ string) { got = append(got, event) })
	if want := []client.EventType{client.Reset, client.Synced, client.Reset, client.Added}; !errors.Is(err, context.Canceled) || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
