package dynamic

import (
	"context"
	"errors"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/server/inprocess"
)

// late is a catalog whose watch cache does not know yet what fresh reads.
type late struct{ fresh *catalog.Catalog }

func (late) For(context.Context, logicalcluster.Name) (*catalog.Snapshot, error) {
	return catalog.NewSnapshot(), nil
}

func (l late) Refresh(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error) {
	return l.fresh.For(ctx, cluster)
}

func bound(cluster, provider, resource string, deleting bool) *apisv1alpha2.APIBinding {
	b := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: resource}}
	if deleting {
		now := metav1.Now()
		b.DeletionTimestamp, b.Finalizers = &now, []string{apisv1alpha2.APIBindingFinalizer}
	}
	b.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Name: "e"}
	b.Status.APIExportClusterName = provider
	b.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{Group: "example.com", Resource: resource,
		Schema: apisv1alpha2.BoundAPIResourceSchema{UID: resource, IdentityHash: "hash"}}}
	return clienttest.In(logicalcluster.Name(cluster), b)
}

func definition(cluster logicalcluster.Name, name, plural string) *apiextensionsv1.CustomResourceDefinition {
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
	crd.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: plural, Kind: "Kind", ListKind: "KindList"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}}}},
	}
	crd.Status.AcceptedNames = crd.Spec.Names
	crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}}
	return clienttest.In(cluster, crd)
}

func about(gr schema.GroupResource, operation admission.Operation, u user.Info) admission.Attributes {
	return admission.NewAttributesRecord(nil, nil, schema.GroupVersionKind{}, "default", "a", gr.WithVersion("v1"), "", operation, nil, false, u)
}

func TestWorkspace_Decides(t *testing.T) {
	fake := clienttest.NewFake(
		bound("consumer", "provider", "widgets", false), bound("consumer", "consumer", "own", false), bound("consumer", "", "odd", false),
		bound("leaving", "provider", "widgets", true),
		definition(logicalcluster.SystemBoundCRDs, "widgets", "widgets"), definition(logicalcluster.SystemBoundCRDs, "own", "own"),
		definition(logicalcluster.SystemBoundCRDs, "odd", "odd"), definition("consumer", "gadgets.example.com", "gadgets"),
	)
	all := catalog.New(catalog.Config{Reader: fake, IsBound: kinds.All.IsBound, Builtin: kinds.All.IsEverywhere})
	alice := &user.DefaultInfo{Name: "alice"}
	for name, tc := range map[string]struct {
		cluster         logicalcluster.Name
		group, resource string
		want            Decider
		fails           bool
	}{
		"a bound resource":             {"consumer", "example.com", "widgets", Decider{Cluster: "provider", Foreign: true}, false},
		"a binding that is deleted":    {"leaving", "example.com", "widgets", Decider{Cluster: "provider", Foreign: true, Leaving: true}, false},
		"an export of its own":         {"consumer", "example.com", "own", Decider{Cluster: "consumer"}, false},
		"nobody knows whose":           {"consumer", "example.com", "odd", Decider{}, true},
		"a definition of its own":      {"consumer", "example.com", "gadgets", Decider{Cluster: "consumer"}, false},
		"what is served nowhere":       {"consumer", "example.com", "others", Decider{Cluster: "consumer"}, false},
		"what is not bound here":       {"other", "example.com", "widgets", Decider{Cluster: "other"}, false},
		"what is served everywhere":    {"consumer", "", "configmaps", Decider{Cluster: "consumer"}, false},
		"the same name, another group": {"consumer", "example.org", "widgets", Decider{Cluster: "consumer"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := about(schema.GroupResource{Group: tc.group, Resource: tc.resource}, admission.Create, alice)
			for of, c := range map[string]Catalog{"a catalog": all, "one that is late": late{all}} {
				got, err := (&Workspace{Catalog: c}).Decides(t.Context(), tc.cluster, a)
				if got != tc.want || (err != nil) != tc.fails {
					t.Errorf("%s: %+v, %v", of, got, err)
				}
			}
		})
	}
	fake.Intercept(func(string, schema.GroupResource, client.Key) error { return errors.New("etcd is gone") })
	if _, err := (&Workspace{Catalog: all}).Decides(t.Context(), "broken", about(schema.GroupResource{Group: "example.com", Resource: "widgets"}, admission.Create, alice)); err == nil {
		t.Error("no error while nothing can be read")
	}
}

// A provider is not asked whether a consumer may leave.
func TestSpared_WhoLeaves(t *testing.T) {
	fake := clienttest.NewFake()
	seen := (&Workspace{Cached: fake, Live: fake}).Of(t.Context(), "consumer")
	widgets := schema.GroupResource{Group: "example.com", Resource: "widgets"}
	for name, tc := range map[string]struct {
		who  user.Info
		by   Decider
		want bool
	}{
		"the server, while the binding is deleted": {inprocess.Itself(), Decider{Cluster: "provider", Foreign: true, Leaving: true}, true},
		"the server otherwise":                     {inprocess.Itself(), Decider{Cluster: "provider", Foreign: true}, false},
		"the server, about a definition":           {inprocess.Itself(), Decider{Cluster: "consumer", Leaving: true}, false},
		"a user":                                   {&user.DefaultInfo{Name: "alice"}, Decider{Cluster: "provider", Foreign: true, Leaving: true}, false},
	} {
		got, err := seen.Spared(about(widgets, admission.Delete, tc.who), tc.by)
		if got != tc.want || err != nil {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}
