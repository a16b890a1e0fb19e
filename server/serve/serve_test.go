package serve

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/registry/writecost"
)

// cataloged are the clusters that serve something.
type cataloged map[logicalcluster.Name]*catalog.Resource

func (c cataloged) For(_ context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error) {
	switch resource, ok := c[cluster]; {
	case !ok:
		return catalog.NewSnapshot(), nil
	case resource == nil:
		return nil, errors.New("unknown")
	default:
		return catalog.NewSnapshot(resource), nil
	}
}

func (c cataloged) Refresh(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error) {
	return c.For(ctx, cluster)
}

// seen is what a handler got.
type seen struct {
	by    string
	ctx   context.Context //nolint:containedctx // it is what is tested
	ended bool
}

// handler notes that by was asked.
func (s *seen) handler(by string) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		*s = seen{by: by, ctx: req.Context(), ended: req.Context().Err() != nil}
	})
}

// For implements Schemas.
func (s *seen) For(*catalog.Resource, logicalcluster.Name) (http.Handler, error) {
	return s.handler("schema"), nil
}

func newServer(got *seen, inactive logicalcluster.Name, c cataloged) *Server {
	scheme := runtime.NewScheme()
	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, v1)
	scheme.AddUnversionedTypes(v1, &metav1.Status{})
	return New(Config{
		Watches: NewWatches(), Catalog: c, Inactive: func(name logicalcluster.Name) bool { return name == inactive },
		Schemas: got, API: got.handler("container"), Filters: func(gr schema.GroupResource) bool { return gr.Resource == "workspaces" }, Codecs: serializer.NewCodecFactory(scheme),
	})
}

func TestServe_WhoIsAskedAndWhatTargetsAreRefused(t *testing.T) {
	custom := &catalog.Resource{Group: "example.com", Plural: "widgets", CRD: &apiextensionsv1.CustomResourceDefinition{}, Bucket: "b"}
	typed := &catalog.Resource{Group: "tenancy.kcp.io", Plural: "workspaces", Typed: true}
	going, virtual := *custom, *custom
	going.Terminating, virtual.Virtual = true, true
	for name, tc := range map[string]struct {
		target   func(got *seen) Target
		verb, by string
		code     int
	}{
		"a custom resource":         {func(*seen) Target { return Target{Cluster: "c", Resource: custom} }, "create", "schema", 200},
		"in all clusters":           {func(*seen) Target { return Target{All: true, Resource: custom} }, "list", "schema", 200},
		"a typed resource":          {func(*seen) Target { return Target{Cluster: "c", Resource: typed} }, "get", "container", 200},
		"a handler of its own":      {func(got *seen) Target { return Target{Cluster: "c", Handler: got.handler("own")} }, "get", "own", 200},
		"one that goes":             {func(*seen) Target { return Target{Cluster: "c", Resource: &going} }, "update", "schema", 200},
		"create while it goes":      {func(*seen) Target { return Target{Cluster: "c", Resource: &going} }, "create", "", http.StatusMethodNotAllowed},
		"what is not stored here":   {func(*seen) Target { return Target{Cluster: "c", Resource: &virtual} }, "get", "", http.StatusInternalServerError},
		"nothing":                   {func(*seen) Target { return Target{} }, "get", "", http.StatusInternalServerError},
		"no cluster":                {func(*seen) Target { return Target{Resource: custom} }, "get", "", http.StatusInternalServerError},
		"one cluster and all":       {func(*seen) Target { return Target{Cluster: "c", All: true, Resource: custom} }, "get", "", http.StatusInternalServerError},
		"nothing in a cluster":      {func(*seen) Target { return Target{Cluster: "c"} }, "get", "", http.StatusInternalServerError},
		"nothing in all clusters":   {func(*seen) Target { return Target{All: true} }, "list", "", http.StatusInternalServerError},
		"a watch that nothing ends": {func(*seen) Target { return Target{Cluster: "c", Resource: custom} }, "watch", "", http.StatusInternalServerError},
		"a condition, and no more":  {func(*seen) Target { return Target{While: Condition{Cluster: "c"}} }, "watch", "", http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			var got seen
			ctx := genericapirequest.WithRequestInfo(t.Context(), &genericapirequest.RequestInfo{Verb: tc.verb, IsResourceRequest: true})
			recorder := httptest.NewRecorder()
			target := tc.target(&got)
			newServer(&got, "", nil).Serve(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), target)
			if got.by != tc.by || recorder.Code != tc.code {
				t.Fatalf("asked %q, and answered %d %s; want %q, %d", got.by, recorder.Code, recorder.Body, tc.by, tc.code)
			}
			if got.ctx == nil {
				return
			}
			cluster, single := logicalcluster.FromContext(got.ctx)
			if cluster != target.Cluster || single == target.All || logicalcluster.IsWildcard(got.ctx) != target.All {
				t.Errorf("served in %q, all: %t", cluster, logicalcluster.IsWildcard(got.ctx))
			}
		})
	}
}

// all is a filter.
type all struct{}

func (all) Shows(head.Head) bool { return true }

func TestServe_FiltersOnlyWhatHeedsThem(t *testing.T) {
	for name, tc := range map[string]struct {
		resource *catalog.Resource
		own      bool
		code     int
	}{
		"a custom resource":            {&catalog.Resource{Group: "example.com", Plural: "widgets", CRD: &apiextensionsv1.CustomResourceDefinition{}, Bucket: "b"}, false, 200},
		"a typed one that is stored":   {&catalog.Resource{Group: "tenancy.kcp.io", Plural: "workspaces", Typed: true}, false, 200},
		"a typed one that is not":      {&catalog.Resource{Group: "authorization.k8s.io", Plural: "subjectaccessreviews", Typed: true}, false, http.StatusInternalServerError},
		"a handler of its own":         {nil, true, http.StatusInternalServerError},
		"a handler of its own, stored": {&catalog.Resource{Group: "tenancy.kcp.io", Plural: "workspaces", Typed: true}, true, http.StatusInternalServerError},
	} {
		var got seen
		ctx := genericapirequest.WithRequestInfo(t.Context(), &genericapirequest.RequestInfo{Verb: "get", IsResourceRequest: true})
		recorder := httptest.NewRecorder()
		target := Target{Cluster: "c", Resource: tc.resource, Filter: all{}}
		if tc.own {
			target.Handler = got.handler("own")
		}
		newServer(&got, "", nil).Serve(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), target)
		if recorder.Code != tc.code || (got.by != "") != (tc.code == http.StatusOK) {
			t.Errorf("%s: asked %q, and answered %d; want %d", name, got.by, recorder.Code, tc.code)
		}
	}
}

func TestServe_WhatAWatchIsHeldBy(t *testing.T) {
	widgets := &catalog.Resource{Group: "example.com", Plural: "widgets", CRD: &apiextensionsv1.CustomResourceDefinition{}, Bucket: "b"}
	changed := *widgets
	changed.Hash = "new"
	served := cataloged{"c": widgets, "changed": &changed, "broken": nil}
	alice := &user.DefaultInfo{Name: "alice"}
	master := &user.DefaultInfo{Name: "root", Groups: []string{user.SystemPrivilegedGroup}}
	untrue := Condition{Cluster: "owner", Holds: func(context.Context) bool { return false }}
	holds := Condition{Cluster: "owner", Holds: func(context.Context) bool { return true }}
	var got seen
	own := got.handler("own")
	for name, tc := range map[string]struct {
		target Target
		who    user.Info
		info   genericapirequest.RequestInfo
		ended  bool
	}{
		"what the catalog says":            {Target{Cluster: "c", Resource: widgets, Cataloged: true}, alice, genericapirequest.RequestInfo{Verb: "watch"}, false},
		"what it says no more":             {Target{Cluster: "other", Resource: widgets, Cataloged: true}, alice, genericapirequest.RequestInfo{Verb: "watch"}, true},
		"what has changed":                 {Target{Cluster: "changed", Resource: widgets, Cataloged: true}, alice, genericapirequest.RequestInfo{Verb: "watch"}, true},
		"what cannot be read":              {Target{Cluster: "broken", Resource: widgets, Cataloged: true}, alice, genericapirequest.RequestInfo{Verb: "watch"}, true},
		"a condition":                      {Target{Cluster: "c", Resource: widgets, While: untrue}, alice, genericapirequest.RequestInfo{Verb: "watch"}, true},
		"a condition that holds":           {Target{Cluster: "c", Resource: widgets, While: holds}, alice, genericapirequest.RequestInfo{Verb: "watch"}, false},
		"a condition, in all clusters":     {Target{All: true, Resource: widgets, While: untrue}, alice, genericapirequest.RequestInfo{Verb: "watch"}, true},
		"a list":                           {Target{Cluster: "off", Resource: widgets, Cataloged: true, While: untrue}, alice, genericapirequest.RequestInfo{Verb: "list"}, false},
		"a handler of its own":             {Target{Cluster: "c", Handler: own}, alice, genericapirequest.RequestInfo{Verb: "watch"}, false},
		"its own in a cluster that is off": {Target{Cluster: "off", Handler: own}, alice, genericapirequest.RequestInfo{Verb: "watch"}, true},
		"a cluster that is off":            {Target{Cluster: "off", Resource: widgets, While: holds}, alice, genericapirequest.RequestInfo{Verb: "watch"}, true},
		"the same, for nobody":             {Target{Cluster: "off", Resource: widgets, While: holds}, nil, genericapirequest.RequestInfo{Verb: "watch"}, true},
		"the same, for system:masters":     {Target{Cluster: "off", Resource: widgets, While: holds}, master, genericapirequest.RequestInfo{Verb: "watch"}, false},
		"what switches it on again":        {Target{Cluster: "off", Resource: widgets, While: holds}, alice, genericapirequest.RequestInfo{Verb: "watch", APIGroup: "core.kcp.io", Resource: "logicalclusters"}, false},
		"something else of the same name":  {Target{Cluster: "off", Resource: widgets, While: holds}, alice, genericapirequest.RequestInfo{Verb: "watch", APIGroup: "example.com", Resource: "logicalclusters"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got = seen{}
			ctx := genericapirequest.WithRequestInfo(t.Context(), &tc.info)
			if tc.who != nil {
				ctx = genericapirequest.WithUser(ctx, tc.who)
			}
			server := newServer(&got, "off", served)
			server.Serve(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), tc.target)
			if got.by == "" || got.ended != tc.ended {
				t.Errorf("ended: %t, want %t (asked %q)", got.ended, tc.ended, got.by)
			}
			if left := len(server.config.Watches.open); left != 0 {
				t.Errorf("%d clusters are remembered after the request", left)
			}
		})
	}
}

// Storage must know the patch that it is about to apply.
func TestServe_RemembersPatches(t *testing.T) {
	body := `[` + strings.Repeat(`{"op":"add","path":"/finalizers/0","value":"x"},`, 5_000) + `{"op":"add","path":"/data/a","value":"x"}]`
	large := &metav1.Status{Message: strings.Repeat("x", 1_000_000)}
	var err error
	patched := http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if read, readErr := io.ReadAll(req.Body); readErr != nil || string(read) != body {
			t.Errorf("the handler reads %d bytes, %v", len(read), readErr)
		}
		err = writecost.Check(req.Context(), large)
	})
	for contentType, refused := range map[string]bool{
		"application/json-patch+json": true, "application/json-patch+json; charset=utf-8": true, "application/merge-patch+json": false,
	} {
		ctx := genericapirequest.WithRequestInfo(t.Context(), &genericapirequest.RequestInfo{Verb: "patch", IsResourceRequest: true})
		req := httptest.NewRequestWithContext(ctx, http.MethodPatch, "/", strings.NewReader(body))
		req.Header.Set("Content-Type", contentType)
		newServer(&seen{}, "", nil).Serve(httptest.NewRecorder(), req, Target{Cluster: "c", Handler: patched})
		if apierrors.IsRequestEntityTooLargeError(err) != refused {
			t.Errorf("%s: %v", contentType, err)
		}
	}
}
