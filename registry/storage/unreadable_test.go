package storage

import (
	"slices"
	"strings"
	"testing"

	apistorage "k8s.io/apiserver/pkg/storage"
)

func TestUnreadable_DroppedOnlyWhenAsked(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	ctx := in(t.Context(), "c1")
	create(t, ctx, s, widget("default", "whole", "red"))
	const root = "/annex/cr/8/example.com/widgets/"
	for key, data := range map[string]string{
		root + "crd/c1/default/broken":      "{not json",
		root + "crd/c1/default/other":       `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"somebody-else","namespace":"default"}}`,
		root + "crd/c2/default/broken":      "{not json",
		root + "identity/c1/default/broken": "{not json",
	} {
		if _, err := client.KV.Put(ctx, key, data); err != nil {
			t.Fatal(err)
		}
	}
	left := func() []string {
		t.Helper()
		found, err := b.Heads(ctx, HeadScope{Cluster: "c1"})
		if err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, o := range found {
			names = append(names, o.Bucket+"/"+o.Name)
		}
		slices.Sort(names)
		return names
	}
	_, _, err := tryList(ctx, s, s.root, recursive)
	if err == nil || !strings.Contains(err.Error(), `widgets.example.com "default/broken" of the logical cluster "c1"`) || strings.Contains(err.Error(), "/cr/") {
		t.Errorf("a list with an object that cannot be read: %v", err)
	}
	if got, want := left(), []string{"crd/broken", "crd/other", "crd/whole", "identity/broken"}; !slices.Equal(got, want) {
		t.Errorf("a plain list leaves %q, want %q", got, want)
	}
	if err := s.Get(ctx, s.key("default", "broken"), apistorage.GetOptions{}, newWidget()); err == nil || apistorage.IsNotFound(err) {
		t.Errorf("a plain read of what cannot be read: %v", err)
	}
	for _, name := range []string{"broken", "other", "none"} {
		if err := s.Get(DroppingUnreadable(ctx), s.key("default", name), apistorage.GetOptions{}, newWidget()); !apistorage.IsNotFound(err) {
			t.Errorf("a read of %s that drops: %v", name, err)
		}
	}
	if err := s.Get(DroppingUnreadable(ctx), s.key("default", "whole"), apistorage.GetOptions{}, newWidget()); err != nil {
		t.Errorf("a read that finds nothing to drop: %v", err)
	}
	if got, want := left(), []string{"crd/whole", "identity/broken"}; !slices.Equal(got, want) {
		t.Errorf("they leave %q, want %q", got, want)
	}
	if _, _, err := tryList(in(t.Context(), "c2"), s, s.root, recursive); err == nil {
		t.Error("an object of another cluster was dropped, too")
	}
}
