package schema

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
)

func TestHandlers_ServeSchemasOfOneResourceApart(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, definition(t, widgetsA))
	s.serve("c2", catalog.LocalBucket, definition(t, widgetsA))
	s.serve("c3", catalog.LocalBucket, definition(t, widgetsB))
	s.serve("c4", "someidentity", definition(t, widgetsB))

	for _, cluster := range []string{"c1", "c2", "c3", "c4"} {
		s.must(http.StatusCreated, "POST", cluster+widgets, asJSON, widget("w", `{"owner":"`+cluster+`"}`))
	}
	for cluster, want := range map[string]string{"c1": "blue", "c2": "blue"} {
		got := s.must(http.StatusOK, "GET", cluster+widgets+"/w", "", "")
		if at(got, "spec", "color") != want || at(got, "spec", "owner") != nil {
			t.Errorf("%s: not defaulted and pruned: %v", cluster, got["spec"])
		}
		if at(got, "metadata", "annotations", logicalcluster.AnnotationKey) != cluster {
			t.Errorf("%s: annotations %v", cluster, at(got, "metadata", "annotations"))
		}
	}
	for _, cluster := range []string{"c3", "c4"} {
		got := s.must(http.StatusOK, "GET", cluster+widgets+"/w", "", "")
		if at(got, "spec", "size") != float64(7) || at(got, "spec", "color") != nil {
			t.Errorf("%s: served by another schema: %v", cluster, got["spec"])
		}
	}
	if got := s.handlers.Len(); got != 2 {
		t.Errorf("%d handlers, want one for each schema", got)
	}
	s.must(http.StatusOK, "DELETE", "c1"+widgets+"/w", "", "")
	s.must(http.StatusNotFound, "GET", "c1"+widgets+"/w", "", "")
	s.must(http.StatusOK, "GET", "c2"+widgets+"/w", "", "")
	s.must(http.StatusNotFound, "GET", "c3/apis/example.com/v2/namespaces/default/widgets/w", "", "")
	s.must(http.StatusNotFound, "GET", "c3/apis/example.com/v1/widgets/w", "", "")
}

func TestHandlers_ServeWhatASchemaCanSay(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, definition(t, widgetsA))

	t.Run("a create is not delayed", func(t *testing.T) {
		s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("first", `{}`))
		// Upstream lets creates wait while a resource is younger than two seconds. A busy machine is slow once, but not each time.
		var took time.Duration
		for i := range 20 {
			crd := definition(t, widgetsA)
			crd.Spec.Names.ShortNames = []string{fmt.Sprintf("w%d", i)} // a schema of its own
			s.serve("c5", catalog.LocalBucket, crd)
			began := time.Now()
			s.must(http.StatusCreated, "POST", "c5"+widgets, asJSON, widget(fmt.Sprintf("first-%d", i), `{}`))
			if took = time.Since(began); took < 1500*time.Millisecond {
				return
			}
		}
		t.Errorf("the first create took %s", took)
	})
	t.Run("a rule in CEL refuses", func(t *testing.T) {
		got := s.must(http.StatusUnprocessableEntity, "POST", "c1"+widgets, asJSON, widget("many", `{"replicas":6}`))
		if got["message"] != `Widget.example.com "many" is invalid: spec: Invalid value: at most five` {
			t.Errorf("message %v", got["message"])
		}
	})
	t.Run("status is written through its subresource only", func(t *testing.T) {
		s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("st", `{}`))
		s.must(http.StatusOK, "PATCH", "c1"+widgets+"/st", asMerge, `{"status":{"phase":"no"}}`)
		got := s.must(http.StatusOK, "PATCH", "c1"+widgets+"/st/status", asMerge, `{"status":{"phase":"yes"},"spec":{"color":"red"}}`)
		if at(got, "status", "phase") != "yes" || at(got, "spec", "color") != "blue" || at(got, "metadata", "generation") != float64(1) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("scale", func(t *testing.T) {
		s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("sc", `{}`))
		s.must(http.StatusOK, "PATCH", "c1"+widgets+"/sc/scale", asMerge, `{"spec":{"replicas":3}}`)
		scale := s.must(http.StatusOK, "GET", "c1"+widgets+"/sc/scale", "", "")
		if scale["kind"] != "Scale" || at(scale, "spec", "replicas") != float64(3) {
			t.Errorf("scale %v", scale)
		}
		if got := s.must(http.StatusOK, "GET", "c1"+widgets+"/sc", "", ""); at(got, "spec", "replicas") != float64(3) {
			t.Errorf("spec %v", got["spec"])
		}
	})
	t.Run("printer columns", func(t *testing.T) {
		table := s.must(http.StatusOK, "GET", "c1"+widgets+"/first", "", "", "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
		columns, _ := table["columnDefinitions"].([]any)
		if len(columns) != 2 || at(columns[1].(map[string]any), "name") != "Color" {
			t.Errorf("columns %v", columns)
		}
	})
	t.Run("selectable fields select, others are refused", func(t *testing.T) {
		s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("green", `{"color":"green"}`))
		list := s.must(http.StatusOK, "GET", "c1"+widgets+"?fieldSelector=spec.color%3Dgreen", "", "")
		if items, _ := list["items"].([]any); len(items) != 1 {
			t.Errorf("items %v", items)
		}
		s.must(http.StatusBadRequest, "GET", "c1"+widgets+"?fieldSelector=spec.replicas%3D1", "", "")
	})
	t.Run("a version that is not stored is converted", func(t *testing.T) {
		const v2 = "c1/apis/example.com/v2/namespaces/default/widgets"
		got := s.must(http.StatusOK, "GET", v2+"/first", "", "")
		if got["apiVersion"] != "example.com/v2" || at(got, "spec", "color") != "blue" {
			t.Errorf("got %v", got)
		}
		s.must(http.StatusCreated, "POST", v2, asJSON, `{"apiVersion":"example.com/v2","kind":"Widget","metadata":{"name":"two"},"spec":{"color":"red"}}`)
		if got := s.must(http.StatusOK, "GET", "c1"+widgets+"/two", "", ""); got["apiVersion"] != "example.com/v1" || at(got, "spec", "color") != "red" {
			t.Errorf("got %v", got)
		}
	})
	t.Run("appliers share a list by its keys", func(t *testing.T) {
		apply := func(manager, ports string) map[string]any {
			t.Helper()
			body := widget("applied", `{"ports":`+ports+`}`)
			status, got := s.do("PATCH", "c1"+widgets+"/applied?fieldManager="+manager, asApply, body)
			if status != http.StatusOK && status != http.StatusCreated {
				t.Fatalf("status %d: %v", status, got)
			}
			return got
		}
		apply("one", `[{"name":"a","port":1}]`)
		got := apply("two", `[{"name":"b","port":2}]`)
		if ports, _ := at(got, "spec", "ports").([]any); len(ports) != 2 {
			t.Errorf("ports %v: the list was taken as one value", ports)
		}
		status, got := s.do("PATCH", "c1"+widgets+"/applied?fieldManager=three", asApply, widget("applied", `{"ports":[{"name":"a","port":9}]}`))
		if status != http.StatusConflict {
			t.Errorf("status %d: %v, want a conflict", status, got)
		}
	})
	t.Run("unknown fields are refused when asked to", func(*testing.T) {
		s.must(http.StatusBadRequest, "POST", "c1"+widgets+"?fieldValidation=Strict", asJSON, widget("strict", `{"nope":1}`))
	})
	t.Run("dry run stores nothing", func(*testing.T) {
		s.must(http.StatusCreated, "POST", "c1"+widgets+"?dryRun=All", asJSON, widget("dry", `{}`))
		s.must(http.StatusNotFound, "GET", "c1"+widgets+"/dry", "", "")
	})
	t.Run("nobody forges the cluster of an object, not even in a dry run", func(t *testing.T) {
		s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("mine", `{}`))
		for _, query := range []string{"?fieldManager=forger&dryRun=All", "?fieldManager=forger"} {
			for _, r := range []struct{ method, path, contentType, name string }{
				{"POST", "", asJSON, "forged"},
				{"PATCH", "/mine", asApply, "mine"},
				{"PATCH", "/mine", asMerge, "mine"},
				{"PATCH", "/mine/status", asMerge, "mine"},
			} {
				body := `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"` + r.name + `","annotations":{"kcp.io/cluster":"c2"}}}`
				status, got := s.do(r.method, "c1"+widgets+r.path+query, r.contentType, body)
				if cluster := at(got, "metadata", "annotations", "kcp.io/cluster"); status >= 300 || cluster != "c1" {
					t.Errorf("%s %s%s: status %d, cluster %v, want c1", r.method, r.path, query, status, cluster)
				}
			}
		}
	})
}

func TestHandlers_FiveThousandClustersShareOne(t *testing.T) {
	c := catalog.New(catalog.Config{})
	h, err := New(Config{RESTOptionsGetter: noStorage{}, Authorizer: authorizerfactory.NewAlwaysAllowAuthorizer()})
	if err != nil {
		t.Fatal(err)
	}
	crd := definition(t, widgetsA)
	var first http.Handler
	for i := range 5000 {
		mine := crd.DeepCopy()
		mine.UID = ""
		mine.ResourceVersion = fmt.Sprint(i)
		mine.Annotations = map[string]string{logicalcluster.AnnotationKey: fmt.Sprintf("c%d", i)}
		resource, err := c.ResourceOf(mine, catalog.LocalBucket)
		if err != nil {
			t.Fatal(err)
		}
		handler, err := h.For(resource, "c1")
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = handler
		}
		if handler != first {
			t.Fatalf("cluster %d got a handler of its own", i)
		}
	}
	if h.Len() != 1 {
		t.Errorf("%d handlers", h.Len())
	}
}

func TestHandlers_EvictionTearsDownAndEndsNoWatch(t *testing.T) {
	destroyed := &atomic.Int32{}
	s := newServer(t, func(c *Config) {
		c.Capacity = 1 << 20 // for one
		c.RESTOptionsGetter = countDestroy{c.RESTOptionsGetter, destroyed}
	})
	s.serve("c1", catalog.LocalBucket, definition(t, widgetsA))
	s.serve("c3", catalog.LocalBucket, definition(t, widgetsB))

	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("one", `{}`))
	events := s.watch("c1" + widgets + "?watch=true")
	s.expect(events, "ADDED one")
	s.must(http.StatusCreated, "POST", "c3"+widgets, asJSON, widget("one", `{}`))
	if s.handlers.Len() != 1 {
		t.Fatalf("%d handlers kept, want 1", s.handlers.Len())
	}
	// Two versions, of which each has a storage.
	if err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return destroyed.Load() >= 2, nil
	}); err != nil {
		t.Fatalf("%d storages torn down, want 2", destroyed.Load())
	}
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("two", `{}`))
	s.expect(events, "ADDED two")
}

func TestHandlers_RequestsOutliveEviction(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Capacity = 1 << 20 })
	a := s.serve("c1", catalog.LocalBucket, definition(t, widgetsA))
	e, err := s.handlers.entry(a, "c1")
	if err != nil {
		t.Fatal(err)
	}
	e.source.close()
	// The request got hold of the handler before it was evicted.
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("late", `{}`))
}

func TestHandlers_TerminatingResourcesTakeNoNewObjects(t *testing.T) {
	s := newServer(t, nil)
	resource := s.serve("c1", catalog.LocalBucket, definition(t, widgetsA))
	s.serve("c2", catalog.LocalBucket, definition(t, widgetsA))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("old", `{}`))
	terminating := *resource
	terminating.Terminating = true
	s.put("c1", &terminating)

	s.must(http.StatusForbidden, "POST", "c1"+widgets, asJSON, widget("new", `{}`))
	s.must(http.StatusForbidden, "PATCH", "c1"+widgets+"/new?fieldManager=x", asApply, widget("new", `{}`))
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/old", asMerge, `{"spec":{"color":"red"}}`)
	s.must(http.StatusOK, "GET", "c1"+widgets, "", "")
	s.must(http.StatusOK, "DELETE", "c1"+widgets+"/old", "", "")
	s.must(http.StatusCreated, "POST", "c2"+widgets, asJSON, widget("new", `{}`))
}

func TestNew_RefusesWithoutAuthorizer(t *testing.T) {
	if _, err := New(Config{RESTOptionsGetter: noStorage{}}); err == nil {
		t.Error("no error")
	}
}

// countDestroy counts how many storages are torn down.
type countDestroy struct {
	generic.RESTOptionsGetter
	destroyed *atomic.Int32
}

func (c countDestroy) GetRESTOptions(gr schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := c.RESTOptionsGetter.GetRESTOptions(gr, example)
	decorate := options.Decorator
	options.Decorator = func(config *storagebackend.ConfigForResource, prefix string, keyFunc func(runtime.Object) (string, error),
		newFunc, newListFunc func() runtime.Object, attrs apistorage.AttrFunc, triggers apistorage.IndexerFuncs, indexers *cache.Indexers) (apistorage.Interface, factory.DestroyFunc, error) {
		store, destroy, err := decorate(config, prefix, keyFunc, newFunc, newListFunc, attrs, triggers, indexers)
		return store, func() {
			c.destroyed.Add(1)
			destroy()
		}, err
	}
	return options, err
}

// noStorage is for handlers that serve nothing.
type noStorage struct{}

func (noStorage) GetRESTOptions(schema.GroupResource, runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{}, fmt.Errorf("no storage here")
}

// The handlers of bound APIs are kept for their provider, not for an export or a consumer.
func TestHandlers_OfBoundAPIsBelongToTheirProvider(t *testing.T) {
	s := newServer(t, nil)
	for i, identity := range []string{"one", "two"} {
		crd := definition(t, widgetsB)
		crd.Spec.Names.ShortNames = []string{identity} // a schema of its own
		crd.Annotations = map[string]string{apisv1alpha2.AnnotationSchemaClusterKey: "provider"}
		cluster := fmt.Sprintf("consumer%d", i)
		s.serve(cluster, identity, crd)
		s.must(http.StatusOK, "GET", cluster+widgets, "", "")
	}
	s.handlers.Forget("consumer0")
	if n := s.handlers.Len(); n != 2 {
		t.Errorf("%d handlers are kept, want 2", n)
	}
	s.handlers.Forget("provider")
	if n := s.handlers.Len(); n != 0 {
		t.Errorf("%d handlers are kept without their provider", n)
	}
}
