package storage

import (
	"context"
	"slices"
	"strconv"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// kinds runs a test for typed and for custom resources.
func kinds(t *testing.T, test func(t *testing.T, s *store, newObject func(namespace, name string) object)) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	typed, custom := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	t.Run("typed", func(t *testing.T) {
		test(t, typed, func(namespace, name string) object { return configMap(namespace, name) })
	})
	t.Run("custom", func(t *testing.T) {
		test(t, custom, func(namespace, name string) object { return widget(namespace, name, "red") })
	})
}

func TestStorage_KeepsClustersApart(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		ctx := t.Context()
		for _, cluster := range []string{"c1", "c2", "c11"} {
			create(t, in(ctx, cluster), s, newObject("default", "same"))
		}
		create(t, in(ctx, "c2"), s, newObject("default", "only"))

		got, _ := list(t, in(ctx, "c1"), s, s.root, recursive)
		if want := []string{"c1|default/same"}; !slices.Equal(got, want) {
			t.Errorf("c1 holds %v, want %v", got, want)
		}
		got, _ = list(t, everywhere(ctx), s, s.root, recursive)
		if want := []string{"c1|default/same", "c11|default/same", "c2|default/only", "c2|default/same"}; !slices.Equal(got, want) {
			t.Errorf("all clusters hold %v, want %v", got, want)
		}
		out := s.newFunc()
		if err := s.Get(in(ctx, "c1"), s.key("default", "only"), apistorage.GetOptions{}, out); !apistorage.IsNotFound(err) {
			t.Errorf("getting what only c2 has: %v, want not found", err)
		}
		remove(t, in(ctx, "c1"), s, newObject("default", "same"))
		got, _ = list(t, everywhere(ctx), s, s.root, recursive)
		if want := []string{"c11|default/same", "c2|default/only", "c2|default/same"}; !slices.Equal(got, want) {
			t.Errorf("after the deletion all clusters hold %v, want %v", got, want)
		}
	})
}

func TestStorage_RefusesWithoutOneCluster(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		obj := newObject("default", "a")
		key := keyFor(s, obj)
		type call func(context.Context) error
		writes := map[string]call{
			"create": func(ctx context.Context) error { return s.Create(ctx, key, obj, s.newFunc(), 0) },
			"update": func(ctx context.Context) error {
				return s.GuaranteedUpdate(ctx, key, s.newFunc(), true, nil, nil, nil)
			},
			"delete": func(ctx context.Context) error {
				return s.Delete(ctx, key, s.newFunc(), nil, apistorage.ValidateAllObjectFunc, nil, apistorage.DeleteOptions{})
			},
			"get": func(ctx context.Context) error {
				return s.Get(ctx, key, apistorage.GetOptions{}, s.newFunc())
			},
		}
		reads := map[string]call{
			"list":  func(ctx context.Context) error { return s.GetList(ctx, s.root, recursive, s.newList()) },
			"watch": func(ctx context.Context) error { _, err := s.Watch(ctx, s.root, recursive); return err },
		}
		base := WithBucket(t.Context(), LocalBucket)
		targets := map[string]struct {
			ctx  context.Context
			want func(error) bool
		}{
			"none":     {base, apierrors.IsInternalError},
			"unknown":  {logicalcluster.WithUnknown(base), apierrors.IsForbidden},
			"with a /": {logicalcluster.WithCluster(base, "c1/default"), apierrors.IsInternalError},
			"..":       {logicalcluster.WithCluster(base, ".."), apierrors.IsInternalError},
		}
		for name, target := range targets {
			for verb, do := range writes {
				if err := do(target.ctx); !target.want(err) {
					t.Errorf("%s for target %s: %v", verb, name, err)
				}
			}
			for verb, do := range reads {
				if err := do(target.ctx); !target.want(err) {
					t.Errorf("%s for target %s: %v", verb, name, err)
				}
			}
		}
		for verb, do := range writes {
			if err := do(logicalcluster.WithWildcard(base)); !apierrors.IsMethodNotSupported(err) {
				t.Errorf("%s for all clusters: %v, want method not supported", verb, err)
			}
		}
	})
}

func TestStorage_RefusesMalformedKeys(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		ctx := in(t.Context(), "c1")
		for _, key := range []string{"", "/", ".", "..", "/other/default/a", s.root + "x/default/a", s.root + "/a/b/c", s.root + "/../c2", s.root + "/default/..", s.root} {
			if err := s.Get(ctx, key, apistorage.GetOptions{}, s.newFunc()); err == nil || apistorage.IsNotFound(err) {
				t.Errorf("getting key %q: %v, want a refusal", key, err)
			}
			if err := s.Create(ctx, key, newObject("default", "a"), s.newFunc(), 0); err == nil {
				t.Errorf("key %q was written", key)
			}
		}
		for _, key := range []string{"", "/", "..", "/other", s.root + "x", s.root + "/../c2"} {
			if _, _, err := tryList(ctx, s, key, recursive); err == nil {
				t.Errorf("key %q was listed", key)
			}
			if _, err := s.Watch(ctx, key, recursive); err == nil {
				t.Errorf("key %q was watched", key)
			}
		}
	})
}

// Clients choose namespaces and names: what leads out of a key is their mistake, not a fault of the server.
func TestStorage_RefusesSegmentsThatNameNothing(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, _ func(string, string) object) {
		ctx := in(t.Context(), "c1")
		for _, dots := range []string{".", ".."} {
			for _, key := range []string{s.key(dots, "a"), s.key("default", dots)} {
				if err := s.Get(ctx, key, apistorage.GetOptions{}, s.newFunc()); !apierrors.IsBadRequest(err) {
					t.Errorf("getting %s: %v, want BadRequest", key, err)
				}
			}
			if err := s.GetList(ctx, s.root+"/"+dots, recursive, s.newList()); !apierrors.IsBadRequest(err) {
				t.Errorf("listing %s: %v, want BadRequest", dots, err)
			}
		}
	})
}

func TestStorage_SetsTheClusterWhateverTheObjectSays(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		ctx := in(t.Context(), "c1")
		forged := newObject("default", "forged")
		forged.SetAnnotations(map[string]string{logicalcluster.AnnotationKey: "c2", "mine": "x"})
		forge := func(o object) {
			o.SetAnnotations(map[string]string{logicalcluster.AnnotationKey: "c2", "mine": "y"})
		}
		w := startWatch(t, everywhere(t.Context()), s, s.root, recursive)

		created := create(t, ctx, s, forged)
		updated := update(t, ctx, s, forged, forge)
		for _, o := range []object{created, updated} {
			if got := logicalcluster.From(o); got != "c1" {
				t.Errorf("an object that said c2 is in %q, want c1", got)
			}
		}
		if got := updated.GetAnnotations()["mine"]; got != "y" {
			t.Errorf("the other annotation is %q, want y", got)
		}
		expect(t, w, "ADDED c1|default/forged", "MODIFIED c1|default/forged")
		if got, _ := list(t, in(t.Context(), "c2"), s, s.root, recursive); len(got) != 0 {
			t.Errorf("c2 holds %v, want nothing", got)
		}
		// Nothing that changes nothing makes a revision: the annotation is neither lost nor written again.
		again := update(t, ctx, s, forged, func(object) {})
		if again.GetResourceVersion() != updated.GetResourceVersion() {
			t.Errorf("an update without change went from revision %s to %s", updated.GetResourceVersion(), again.GetResourceVersion())
		}
		without := update(t, ctx, s, forged, func(o object) { o.SetAnnotations(map[string]string{"mine": "y"}) })
		if without.GetResourceVersion() != updated.GetResourceVersion() || logicalcluster.From(without) != "c1" {
			t.Errorf("an update without the annotation made revision %s in %q", without.GetResourceVersion(), logicalcluster.From(without))
		}
	})
}

func TestStorage_ContinueTokensStayInTheirCluster(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		ctx := t.Context()
		for _, cluster := range []string{"c1", "c2", "c3"} {
			for _, name := range []string{"a", "b", "c"} {
				create(t, in(ctx, cluster), s, newObject("default", name))
			}
		}
		page := recursive
		page.Predicate.Limit = 1
		_, c1 := list(t, in(ctx, "c1"), s, s.root, page)
		_, all := list(t, everywhere(ctx), s, s.root, page)
		rv, err := strconv.ParseInt(c1.GetResourceVersion(), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		forged := func(start string) string {
			token, err := apistorage.EncodeContinue("x"+start, "x", rv)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		tokens := map[string]string{
			"of c1":              c1.GetContinue(),
			"of the wildcard":    all.GetContinue(),
			"to the parent":      forged("../c1/default/a"),
			"to c1 from the top": forged("/../../c1/"),
			"to the first key":   forged("\x00"),
			"to another prefix":  forged(s.root + "/c1/default/a"),
			"garbage":            "AAAA",
		}
		for name, token := range tokens {
			if token == "" {
				t.Fatalf("no token %s", name)
			}
			next := recursive
			next.Predicate.Continue = token
			got, _, err := tryList(in(ctx, "c2"), s, s.root, next)
			if err != nil {
				continue // refused
			}
			for _, o := range got {
				if o[:3] != "c2|" {
					t.Errorf("token %s shows c2 the object %s", name, o)
				}
			}
		}
		// Pages of the wildcard hold everything once.
		var got []string
		for page.Predicate.Continue = ""; ; {
			some, more := list(t, everywhere(ctx), s, s.root, page)
			got = append(got, some...)
			if page.Predicate.Continue = more.GetContinue(); page.Predicate.Continue == "" {
				break
			}
		}
		whole, _ := list(t, everywhere(ctx), s, s.root, recursive)
		if !slices.Equal(got, whole) || len(got) != 9 {
			t.Errorf("pages hold %v, want %v", got, whole)
		}
	})
}
