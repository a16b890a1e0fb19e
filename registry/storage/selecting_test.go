package storage

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/head"
)

// labeled is a filter that decides by labels.
type labeled struct{ by labels.Selector }

func (f labeled) Shows(h head.Head) bool    { return f.by.Matches(labels.Set(h.Labels)) }
func (f labeled) Selector() labels.Selector { return f.by }

// A filter by labels holds for lists, pages, watches, reads and writes, together with what the client selects.
func TestFilter_Selecting(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	s := configMapStore(t, b)
	waitReady(t, b)
	ctx := t.Context()
	narrow := labeled{labels.SelectorFromSet(labels.Set{"on": "yes"})}
	all := WithFilter(everywhere(ctx), narrow)
	label := func(key, value string) func(object) {
		return func(o object) {
			set := labels.Set{}
			for k, v := range o.GetLabels() {
				set[k] = v
			}
			set[key] = value
			o.SetLabels(set)
		}
	}
	for i, on := range []string{"yes", "no", "yes", "", "yes"} {
		cluster := fmt.Sprintf("c%d", i)
		create(t, in(ctx, cluster), s, configMap("default", "a"))
		if on != "" {
			update(t, in(ctx, cluster), s, configMap("default", "a"), label("on", on))
		}
	}
	got, listed := list(t, all, s, s.root, recursive)
	if fmt.Sprint(got) != "[c0|default/a c2|default/a c4|default/a]" {
		t.Errorf("a list holds %v", got)
	}
	asked := recursive
	asked.Predicate.Label = labels.SelectorFromSet(labels.Set{"team": "a"})
	update(t, in(ctx, "c1"), s, configMap("default", "a"), label("team", "a"))
	update(t, in(ctx, "c2"), s, configMap("default", "a"), label("team", "a"))
	if got, _ := list(t, all, s, s.root, asked); fmt.Sprint(got) != "[c2|default/a]" {
		t.Errorf("with a selector of the client, a list holds %v", got)
	}
	var pages []string
	for options := recursive; ; {
		options.Predicate.Limit = 2
		page, meta := list(t, all, s, s.root, options)
		pages = append(pages, page...)
		if options.Predicate.Continue = meta.GetContinue(); options.Predicate.Continue == "" {
			break
		}
	}
	if fmt.Sprint(pages) != "[c0|default/a c2|default/a c4|default/a]" {
		t.Errorf("pages hold %v", pages)
	}
	resumed := recursive
	resumed.ResourceVersion = listed.GetResourceVersion()
	w := startWatch(t, all, s, s.root, resumed)
	one := startWatch(t, WithFilter(in(ctx, "c0"), narrow), s, s.root, resumed)
	update(t, in(ctx, "c3"), s, configMap("default", "a"), label("on", "yes"))
	update(t, in(ctx, "c0"), s, configMap("default", "a"), label("on", "no"))
	remove(t, in(ctx, "c1"), s, configMap("default", "a"))
	remove(t, in(ctx, "c4"), s, configMap("default", "a"))
	expect(t, w, "MODIFIED c2|default/a", "ADDED c3|default/a", "DELETED c0|default/a", "DELETED c4|default/a")
	expect(t, one, "DELETED c0|default/a")

	key := s.key("default", "a")
	for cluster, shows := range map[string]bool{"c0": false, "c2": true} {
		for _, version := range []string{"", "0"} {
			var read corev1.ConfigMap
			err := s.Get(WithFilter(in(ctx, cluster), narrow), key, apistorage.GetOptions{ResourceVersion: version}, &read)
			if shows != (err == nil) || !shows && !apistorage.IsNotFound(err) {
				t.Errorf("get in %s at %q: %v", cluster, version, err)
			}
		}
		err := s.GuaranteedUpdate(WithFilter(in(ctx, cluster), narrow), key, &corev1.ConfigMap{}, false, nil,
			func(input runtime.Object, _ apistorage.ResponseMeta) (runtime.Object, *uint64, error) {
				return input, nil, nil
			}, nil)
		if shows != (err == nil) || !shows && !apistorage.IsNotFound(err) {
			t.Errorf("update in %s: %v", cluster, err)
		}
	}
}

// An object that a watch no longer selects is shown as it was before. That must not become what others see of it now.
func TestWatch_LastStateOfWhatLeavesIsForThatWatchOnly(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	s := configMapStore(t, b)
	waitReady(t, b)
	ctx := in(t.Context(), "c1")
	asked := recursive
	asked.ResourceVersion = "0"
	asked.Predicate.Label = labels.SelectorFromSet(labels.Set{"on": "yes"})
	selected := startWatch(t, ctx, s, s.root, asked)
	others := recursive
	others.ResourceVersion = "0"
	whole := startWatch(t, ctx, s, s.root, others)
	first := configMap("default", "a")
	first.Labels, first.Data = map[string]string{"on": "yes"}, map[string]string{"state": "old"}
	create(t, ctx, s, first)
	valueOf := func(event watch.Event) string {
		return string(event.Type) + " " + event.Object.(*corev1.ConfigMap).Data["state"]
	}
	for _, w := range []watch.Interface{selected, whole} {
		if got := valueOf(next(t, w)); got != "ADDED old" {
			t.Fatalf("a watch begins with %q", got)
		}
	}
	for round := range 20 {
		now := fmt.Sprint("new", round)
		update(t, ctx, s, configMap("default", "a"), func(o object) {
			o.SetLabels(nil)
			o.(*corev1.ConfigMap).Data = map[string]string{"state": now}
		})
		gone := next(t, selected)
		if got := valueOf(gone); got != "DELETED old" {
			t.Fatalf("what leaves is %q", got)
		}
		if got := valueOf(next(t, whole)); got != "MODIFIED "+now {
			t.Fatalf("round %d: another watch sees %q", round, got)
		}
		var read corev1.ConfigMap
		if err := s.Get(ctx, s.key("default", "a"), apistorage.GetOptions{ResourceVersion: "0"}, &read); err != nil || read.Data["state"] != now {
			t.Fatalf("round %d: a read finds %v, %v", round, read.Data, err)
		}
		update(t, ctx, s, configMap("default", "a"), func(o object) {
			o.SetLabels(map[string]string{"on": "yes"})
			o.(*corev1.ConfigMap).Data = map[string]string{"state": "old"}
		})
		if got := valueOf(next(t, selected)); got != "ADDED old" {
			t.Fatalf("what comes back is %q", got)
		}
		if got := valueOf(next(t, whole)); got != "MODIFIED old" {
			t.Fatalf("another watch sees %q", got)
		}
	}
}
