package storage

import (
	"fmt"
	"net/http"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
)

// ownNamespace shows of each cluster the namespace of its name; an event of the cluster called changed ends the watch.
type ownNamespace struct{ changed logicalcluster.Name }

func (ownNamespace) Shows(h head.Head) bool { return string(h.Cluster) == h.Namespace }

func (f ownNamespace) Follows(h head.Head, _ bool) (bool, error) {
	if h.Cluster == f.changed {
		return false, apierrors.NewResourceExpired("list again")
	}
	return f.Shows(h), nil
}

// A filter narrows what is read of all clusters, and nothing that it holds back shows in any way.
func TestFilter_ShowsWhatIsMapped(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	ctx := t.Context()
	narrow := WithFilter(everywhere(ctx), ownNamespace{changed: "c9"})
	const clusters = 6
	for i := range clusters {
		cluster := fmt.Sprintf("c%d", i)
		for _, namespace := range []string{"c0", "c1", "c2", "c3", "c4", "c5", "other"} {
			create(t, in(ctx, cluster), s, widget(namespace, "w", map[bool]string{true: "red", false: "blue"}[i%2 == 0]))
		}
	}
	want := "[c0|c0/w c1|c1/w c2|c2/w c3|c3/w c4|c4/w c5|c5/w]"
	got, all := list(t, narrow, s, s.root, recursive)
	if fmt.Sprint(got) != want || all.GetResourceVersion() == "" {
		t.Errorf("a list holds %v at %q, want %s", got, all.GetResourceVersion(), want)
	}
	if got, _ := list(t, narrow, s, s.key("c3"), recursive); fmt.Sprint(got) != "[c3|c3/w]" {
		t.Errorf("one namespace holds %v", got)
	}
	if got, _ := list(t, narrow, s, s.root, selecting(t, "spec.color=red", widgetAttrs)); fmt.Sprint(got) != "[c0|c0/w c2|c2/w c4|c4/w]" {
		t.Errorf("selected by field: %v", got)
	}
	if got, _ := list(t, in(ctx, "c1"), s, s.root, recursive); len(got) != 7 {
		t.Errorf("a list of one cluster with no filter holds %v", got)
	}
	var pages []string
	for options := selecting(t, "", widgetAttrs); ; {
		options.Predicate.Limit = 2
		page, meta := list(t, narrow, s, s.root, options)
		pages = append(pages, page...)
		if len(page) > 2 || meta.GetRemainingItemCount() != nil {
			t.Errorf("a page of %d, with %v to come", len(page), meta.GetRemainingItemCount())
		}
		if options.Predicate.Continue = meta.GetContinue(); options.Predicate.Continue == "" {
			break
		}
	}
	if fmt.Sprint(pages) != want {
		t.Errorf("pages hold %v, want %s", pages, want)
	}

	first := startWatch(t, narrow, s, s.root, watchList)
	if got := initial(t, first); len(got) != clusters {
		t.Errorf("initial events: %v", got)
	}
	resumed := recursive
	resumed.ResourceVersion = all.GetResourceVersion()
	later := startWatch(t, narrow, s, s.root, resumed)
	selected := selecting(t, "spec.color=green", widgetAttrs)
	selected.ResourceVersion = all.GetResourceVersion()
	green := startWatch(t, narrow, s, s.root, selected)
	create(t, in(ctx, "c6"), s, widget("c0", "hidden", "green"))
	create(t, in(ctx, "c6"), s, widget("c6", "shown", "green"))
	update(t, in(ctx, "c1"), s, widget("c0", "w", ""), setColor("green"))
	update(t, in(ctx, "c1"), s, widget("c1", "w", ""), setColor("green"))
	remove(t, in(ctx, "c2"), s, widget("c3", "w", ""))
	remove(t, in(ctx, "c2"), s, widget("c2", "w", ""))
	for _, w := range []watch.Interface{first, later} {
		expect(t, w, "ADDED c6|c6/shown", "MODIFIED c1|c1/w", "DELETED c2|c2/w")
	}
	expect(t, green, "ADDED c6|c6/shown", "ADDED c1|c1/w")
	create(t, in(ctx, "c9"), s, widget("c9", "w", "green"))
	for _, w := range []watch.Interface{first, later, green} {
		event := next(t, w)
		if status, ok := event.Object.(*metav1.Status); !ok || event.Type != watch.Error || status.Code != http.StatusGone {
			t.Errorf("got %+v, want to be told to list again", event)
		}
		if _, open := <-w.ResultChan(); open {
			t.Error("the watch goes on")
		}
	}
}
