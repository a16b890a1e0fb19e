package apiconversion

import (
	"context"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/schemas/crd"
)

const name = "v2.people.example.com"

func source() *apisv1alpha1.APIResourceSchema {
	version := func(name string, storage bool) apisv1alpha1.APIResourceVersion {
		return apisv1alpha1.APIResourceVersion{Name: name, Storage: storage, Schema: runtime.RawExtension{Raw: []byte(`{"type":"object"}`)}}
	}
	return clienttest.In("provider", &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "schema-uid"}, Spec: apisv1alpha1.APIResourceSchemaSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names:      apiextensionsv1.CustomResourceDefinitionNames{Plural: "people", Singular: "person", Kind: "Person", ListKind: "PersonList"},
		Conversion: &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.NoneConverter},
		Versions:   []apisv1alpha1.APIResourceVersion{version("v1", false), version("v2", true)},
	}})
}

func conversion(from string) *apisv1alpha1.APIConversion {
	return clienttest.In("provider", &apisv1alpha1.APIConversion{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: apisv1alpha1.APIConversionSpec{
		Conversions: []apisv1alpha1.APIVersionConversion{{From: from, To: "v2"}},
	}})
}

func TestController_FollowsAPIConversions(t *testing.T) {
	lc := clienttest.In("provider", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}})
	fake := clienttest.NewFake(source(), lc)
	stored, err := client.Find[apisv1alpha1.APIResourceSchema](t.Context(), fake, schemas, client.Key{Cluster: "provider", Name: name})
	if err != nil || stored == nil {
		t.Fatal(err)
	}
	bound, err := crd.Bound(stored, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- multicluster.Run(running, fake, Specs(multicluster.Config{Client: fake, Live: fake})[0])
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	key := client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: string(stored.UID)}
	await := func(want string) {
		t.Helper()
		if _, err := fake.Await(ctx, definitions, key, func(obj client.Object) bool {
			rules, ok := obj.GetAnnotations()[apisv1alpha2.AnnotationConversionKey]
			return ok == (want != "") && strings.Contains(rules, want)
		}); err != nil {
			t.Fatalf("waiting for the rules %q: %v", want, err)
		}
	}
	must := func(_ client.Object, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// The definition is made by somebody who has not seen the APIConversion.
	must(fake.Create(ctx, conversions, "provider", conversion("v1")))
	must(fake.Create(ctx, definitions, logicalcluster.SystemBoundCRDs, bound))
	await(`"from":"v1"`)
	changed, err := client.Find[apisv1alpha1.APIConversion](ctx, fake, conversions, client.Key{Cluster: "provider", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	changed = changed.DeepCopy()
	changed.Spec.Conversions[0].From = "v3"
	must(fake.Update(ctx, conversions, "provider", changed))
	await(`"from":"v3"`)
	if err := fake.Delete(ctx, conversions, client.KeyOf(changed), nil); err != nil {
		t.Fatal(err)
	}
	await("")
	must(fake.Create(ctx, conversions, "provider", conversion("v1")))
	await(`"from":"v1"`)
}

// Who has bound the resource keeps the rules if the schema or its workspace goes.
func TestReconcile_KeepsTheRulesOfWhatIsGone(t *testing.T) {
	lc := func() *corev1alpha1.LogicalCluster {
		return clienttest.In("provider", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}})
	}
	going := lc()
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: time.Now()}, []string{"example.com/x"}
	other := source()
	other.UID = "another"
	for what, objects := range map[string][]client.Object{
		"the schema is gone":               {lc()},
		"the schema is another one":        {lc(), other},
		"the workspace is being deleted":   {going, source()},
		"the workspace is gone":            {source()},
		"only the APIConversion is missed": {lc(), source()},
	} {
		bound, err := crd.Bound(source(), conversion("v1"))
		if err != nil {
			t.Fatal(err)
		}
		fake := clienttest.NewFake(append(objects, clienttest.In(logicalcluster.SystemBoundCRDs, bound))...)
		r := &reconciler{client: fake, live: fake}
		key := client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: bound.Name}
		if _, err := r.reconcile(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		now, err := client.Find[apiextensionsv1.CustomResourceDefinition](t.Context(), fake, definitions, key)
		if err != nil {
			t.Fatal(err)
		}
		_, kept := now.Annotations[apisv1alpha2.AnnotationConversionKey]
		if want := what != "only the APIConversion is missed"; kept != want {
			t.Errorf("%s: the rules are kept: %t, want %t", what, kept, want)
		}
	}
}
