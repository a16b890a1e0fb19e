package apiexport

import (
	"context"
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/server/virtual"
)

type schemaObject = apisv1alpha1.APIResourceSchema

func lc(name string) logicalcluster.Name { return logicalcluster.Name(name) }

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

func withExport(ctx context.Context, cluster logicalcluster.Name, export string) context.Context {
	return virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: Name, Cluster: cluster, Name: export})
}

func boundTo(cluster, exportCluster, export, hash string, terminating bool) *apisv1alpha2.APIBinding {
	b := clienttest.In(lc(cluster), &apisv1alpha2.APIBinding{
		ObjectMeta: named("b"),
		Spec: apisv1alpha2.APIBindingSpec{Reference: apisv1alpha2.BindingReference{
			Export: &apisv1alpha2.ExportBindingReference{Path: exportCluster, Name: export},
		}},
		Status: apisv1alpha2.APIBindingStatus{APIExportClusterName: exportCluster, BoundResources: []apisv1alpha2.BoundAPIResource{{
			Group: "example.com", Resource: "widgets", Schema: apisv1alpha2.BoundAPIResourceSchema{IdentityHash: hash},
		}}},
	})
	if terminating {
		now := metav1.Now()
		b.DeletionTimestamp, b.Finalizers = &now, []string{apisv1alpha2.APIBindingFinalizer}
	}
	return b
}

func TestAuthorize(t *testing.T) {
	export := clienttest.In("provider", &apisv1alpha2.APIExport{
		ObjectMeta: named("things"), Status: apisv1alpha2.APIExportStatus{IdentityHash: "hash"},
		Spec: apisv1alpha2.APIExportSpec{Resources: []apisv1alpha2.ResourceSchema{{Name: "widgets", Group: "example.com", Schema: "v1.widgets.example.com"}}},
	})
	fake := clienttest.NewFake(export,
		boundTo("c1", "provider", "things", "hash", false),
		boundTo("going", "provider", "things", "hash", true),
		boundTo("other-export", "provider", "other", "hash", false),
		boundTo("same-name", "elsewhere", "things", "hash", false),
		boundTo("other-identity", "provider", "things", "other", false),
		boundTo("no-identity", "provider", "things", "", false),
	)
	p := rules{"lister list things provider": true, "lister get things provider": true, "writer * things provider": true, "writer * gone provider": true}
	widgets := func(verb string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, APIGroup: "example.com", APIVersion: "v1", Resource: "widgets", ResourceRequest: true}
	}
	bindings := authorizer.AttributesRecord{Verb: "list", APIGroup: "apis.kcp.io", APIVersion: "v1alpha2", Resource: "apibindings", ResourceRequest: true}
	discovery := authorizer.AttributesRecord{Verb: "get", Path: "/apis"}
	status := widgets("update")
	status.Subresource = "status"
	for name, tc := range map[string]struct {
		who     string
		target  string // * for all, ? for unknown
		export  string
		attrs   authorizer.AttributesRecord
		allowed bool
	}{
		"list everywhere":                         {who: "lister", target: "*", attrs: widgets("list"), allowed: true},
		"list in a consumer":                      {who: "lister", target: "c1", attrs: widgets("list"), allowed: true},
		"list does not allow watch":               {who: "lister", target: "*", attrs: widgets("watch")},
		"list does not allow create":              {who: "lister", target: "c1", attrs: widgets("create")},
		"list does not allow the status":          {who: "lister", target: "c1", attrs: status},
		"write":                                   {who: "writer", target: "c1", attrs: widgets("create"), allowed: true},
		"write the status":                        {who: "writer", target: "c1", attrs: status, allowed: true},
		"discovery":                               {who: "lister", target: "*", attrs: discovery, allowed: true},
		"discovery in a cluster of somebody else": {who: "lister", target: "same-name", attrs: discovery, allowed: true},
		"discovery without access":                {who: "nobody", target: "*", attrs: discovery},
		"nobody":                                  {who: "nobody", target: "*", attrs: widgets("list")},
		"another export":                          {who: "lister", target: "*", export: "other", attrs: widgets("list")},
		"not bound":                               {who: "writer", target: "empty", attrs: widgets("list")},
		"bound from another export":               {who: "writer", target: "other-export", attrs: widgets("list")},
		"bound from another workspace":            {who: "writer", target: "same-name", attrs: widgets("list")},
		"bound under another identity":            {who: "writer", target: "other-identity", attrs: widgets("list")},
		"bound under no identity":                 {who: "writer", target: "no-identity", attrs: widgets("list")},
		"binding that is being deleted":           {who: "writer", target: "going", attrs: widgets("delete"), allowed: true},
		"bindings of a consumer":                  {who: "writer", target: "c1", attrs: bindings, allowed: true},
		"bindings of somebody else":               {who: "writer", target: "other-export", attrs: bindings},
		"bindings everywhere":                     {who: "writer", target: "*", attrs: bindings, allowed: true},
		"unknown cluster":                         {who: "writer", target: "?", attrs: widgets("list")},
		"export that is gone, in a consumer":      {who: "writer", target: "c1", export: "gone", attrs: widgets("list")},
		"master":                                  {who: "master", target: "empty", attrs: widgets("list"), allowed: true},
		// The handler answers that there is no such thing.
		"what is not exported, in a consumer":       {who: "writer", target: "c1", attrs: authorizer.AttributesRecord{Verb: "list", Resource: "secrets", APIVersion: "v1", ResourceRequest: true}, allowed: true},
		"what is not exported, elsewhere":           {who: "writer", target: "empty", attrs: authorizer.AttributesRecord{Verb: "list", Resource: "secrets", APIVersion: "v1", ResourceRequest: true}},
		"what is not exported, in a cluster system": {who: "writer", target: "system:admin", attrs: authorizer.AttributesRecord{Verb: "list", Resource: "secrets", APIVersion: "v1", ResourceRequest: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.export == "" {
				tc.export = "things"
			}
			ctx := withExport(t.Context(), "provider", tc.export)
			switch tc.target {
			case "*":
				ctx = logicalcluster.WithWildcard(ctx)
			case "?":
				ctx = logicalcluster.WithUnknown(ctx)
			default:
				ctx = logicalcluster.WithCluster(ctx, lc(tc.target))
			}
			who := &user.DefaultInfo{Name: tc.who}
			if tc.who == "master" {
				who.Groups = []string{user.SystemPrivilegedGroup}
			}
			tc.attrs.User = who
			decision, _, err := (&Endpoint{Config: Config{Cached: fake, Live: fake, Authorizer: p}}).Authorize(ctx, tc.attrs)
			if allowed := decision == authorizer.DecisionAllow; allowed != tc.allowed || err != nil {
				t.Errorf("allowed = %v, %v", allowed, err)
			}
		})
	}
}

func TestAuthorize_NothingElseIsDecidedHere(t *testing.T) {
	e := &Endpoint{Config: Config{Cached: clienttest.NewFake(), Live: clienttest.NewFake(), Authorizer: rules{}}}
	attrs := authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "m", Groups: []string{user.SystemPrivilegedGroup}}, Verb: "get", Path: "/"}
	if decision, _, _ := e.Authorize(logicalcluster.WithWildcard(t.Context()), attrs); decision != authorizer.DecisionDeny {
		t.Errorf("no endpoint: %v", decision)
	}
	attrs.User = nil
	if decision, _, _ := e.Authorize(withExport(logicalcluster.WithWildcard(t.Context()), "provider", "things"), attrs); decision != authorizer.DecisionDeny {
		t.Errorf("no user: %v", decision)
	}
}

func TestAuthorize_SeesABindingThatTheCachesDoNot(t *testing.T) {
	export := clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: named("things"), Status: apisv1alpha2.APIExportStatus{IdentityHash: "hash"}})
	live := clienttest.NewFake(export, boundTo("c1", "provider", "things", "hash", false))
	e := &Endpoint{Config: Config{Cached: clienttest.NewFake(), Live: live, Authorizer: rules{"alice * things provider": true}}}
	attrs := authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "alice"}, Verb: "list", APIGroup: "example.com", Resource: "widgets", ResourceRequest: true}
	ctx := logicalcluster.WithCluster(withExport(t.Context(), "provider", "things"), "c1")
	if decision, _, err := e.Authorize(ctx, attrs); decision != authorizer.DecisionAllow {
		t.Errorf("%v, %v", decision, err)
	}
	live.Intercept(func(string, schema.GroupResource, client.Key) error { return errors.New("etcd is gone") })
	if decision, _, err := e.Authorize(ctx, attrs); decision != authorizer.DecisionDeny || err == nil {
		t.Errorf("storage that fails: %v, %v", decision, err)
	}
}
