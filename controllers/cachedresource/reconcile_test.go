package cachedresource

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

const cluster = logicalcluster.Name("provider")

var key = client.Key{Cluster: cluster, Name: "flavors"}

func newResource(change ...func(*cachev1alpha1.ClusterCachedResource)) *cachev1alpha1.ClusterCachedResource {
	resource := clienttest.In(cluster, &cachev1alpha1.ClusterCachedResource{
		ObjectMeta: metav1.ObjectMeta{Name: key.Name},
		Spec: cachev1alpha1.ClusterCachedResourceSpec{
			GroupVersionResource: cachev1alpha1.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "flavors"},
		},
	})
	for _, c := range change {
		c(resource)
	}
	return resource
}

func newDefinition(in logicalcluster.Name, name string, change ...func(*apiextensionsv1.CustomResourceDefinition)) *apiextensionsv1.CustomResourceDefinition {
	definition := clienttest.In(in, &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.ClusterScoped,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true}},
		},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{Conditions: []apiextensionsv1.CustomResourceDefinitionCondition{
			{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue},
		}},
	})
	for _, c := range change {
		c(definition)
	}
	return definition
}

func newBinding(change ...func(*apisv1alpha2.APIBinding)) *apisv1alpha2.APIBinding {
	binding := clienttest.In(cluster, &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Status: apisv1alpha2.APIBindingStatus{
		BoundResources: []apisv1alpha2.BoundAPIResource{{Group: "example.com", Resource: "flavors", Schema: apisv1alpha2.BoundAPIResourceSchema{UID: "uid"}}},
	}})
	for _, c := range change {
		c(binding)
	}
	return binding
}

// run reconciles until nothing is written any more, and returns the object.
func run(t *testing.T, fake *clienttest.Fake, isBound func(schema.GroupResource) bool) *cachev1alpha1.ClusterCachedResource {
	t.Helper()
	r := &reconciler{client: fake, isBound: isBound}
	for range 5 {
		before := len(fake.Writes())
		if _, err := r.reconcile(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if len(fake.Writes()) > before {
			continue
		}
		if keys := fake.Mutated(); len(keys) > 0 {
			t.Errorf("objects of the watch cache were changed: %v", keys)
		}
		resource, err := client.Find[cachev1alpha1.ClusterCachedResource](t.Context(), fake, resources, key)
		if err != nil {
			t.Fatal(err)
		}
		return resource
	}
	t.Fatalf("reconciling does not settle: %v", fake.Writes())
	return nil
}

func TestReconcile_WhatCanBeShared(t *testing.T) {
	for name, tc := range map[string]struct {
		objects []client.Object
		typed   bool
		reason  string // empty if it can be shared
	}{
		"a definition of its own": {objects: []client.Object{newDefinition(cluster, "flavors.example.com")}},
		"what it has bound":       {objects: []client.Object{newBinding(), newDefinition(logicalcluster.SystemBoundCRDs, "uid")}},
		"nothing":                 {reason: cachev1alpha1.ResourceNotFoundReason},
		"a definition elsewhere":  {objects: []client.Object{newDefinition("other", "flavors.example.com")}, reason: cachev1alpha1.ResourceNotFoundReason},
		"one that is not served": {objects: []client.Object{newDefinition(cluster, "flavors.example.com", func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Status.Conditions = nil
		})}, reason: cachev1alpha1.ResourceNotFoundReason},
		"another version": {objects: []client.Object{newDefinition(cluster, "flavors.example.com", func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Spec.Versions[0].Name = "v2"
		})}, reason: cachev1alpha1.ResourceNotFoundReason},
		"objects in namespaces": {objects: []client.Object{newDefinition(cluster, "flavors.example.com", func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Spec.Scope = apiextensionsv1.NamespaceScoped
		})}, reason: cachev1alpha1.ResourceNotSupportedReason},
		"objects that a webhook converts": {objects: []client.Object{newDefinition(cluster, "flavors.example.com", func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter}
		})}, reason: cachev1alpha1.ResourceNotSupportedReason},
		"what others share with it": {objects: []client.Object{newDefinition(logicalcluster.SystemBoundCRDs, "uid"), newBinding(func(b *apisv1alpha2.APIBinding) {
			b.Status.BoundResources[0].Virtual = &corev1.TypedLocalObjectReference{Kind: "A", Name: "a"}
		})}, reason: cachev1alpha1.ResourceNotSupportedReason},
		"what its provider limits": {objects: []client.Object{newDefinition(logicalcluster.SystemBoundCRDs, "uid"), newBinding(func(b *apisv1alpha2.APIBinding) {
			b.Annotations[apisv1alpha2.LimitedBindingAnnotationKey] = "local"
		})}, reason: cachev1alpha1.ResourceNotSupportedReason},
		"the server's own": {objects: []client.Object{newBinding()}, typed: true, reason: cachev1alpha1.ResourceNotSupportedReason},
	} {
		t.Run(name, func(t *testing.T) {
			fake := clienttest.NewFake(append(tc.objects, newResource())...)
			resource := run(t, fake, func(schema.GroupResource) bool { return tc.typed })
			if got := conditionsv1alpha1.GetReason(resource, cachev1alpha1.ResourceValid); got != tc.reason {
				t.Errorf("reason %q, want %q", got, tc.reason)
			}
			phase, started := cachev1alpha1.ClusterCachedResourcePhaseReady, tc.reason == ""
			if !started {
				phase = cachev1alpha1.ClusterCachedResourcePhaseInitializing
			}
			if conditionsv1alpha1.IsTrue(resource, cachev1alpha1.ReplicationStarted) != started || resource.Status.Phase != phase {
				t.Errorf("status: %+v", resource.Status)
			}
			if !conditionsv1alpha1.IsTrue(resource, cachev1alpha1.IdentityValid) || len(resource.Status.IdentityHash) != 64 ||
				!slices.Equal(resource.Finalizers, []string{cachev1alpha1.ClusterCachedResourceFinalizer}) {
				t.Errorf("object: %+v", resource)
			}
		})
	}
}

func TestReconcile_IdentityThatIsMissing(t *testing.T) {
	fake := clienttest.NewFake(newDefinition(cluster, "flavors.example.com"), newResource(func(r *cachev1alpha1.ClusterCachedResource) {
		r.Spec.Identity = &cachev1alpha1.Identity{SecretRef: &corev1.SecretReference{Namespace: "default", Name: "mine"}}
	}))
	resource := run(t, fake, nil)
	if conditionsv1alpha1.GetReason(resource, cachev1alpha1.IdentityValid) != cachev1alpha1.IdentityVerificationFailedReason ||
		resource.Status.Phase != cachev1alpha1.ClusterCachedResourcePhaseInitializing {
		t.Errorf("status: %+v", resource.Status)
	}
	secret := clienttest.In(cluster, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "mine"}, Data: map[string][]byte{"key": []byte("abc")}})
	if _, err := fake.Create(t.Context(), secrets, cluster, secret); err != nil {
		t.Fatal(err)
	}
	r := &reconciler{client: fake}
	if diff := cmp.Diff([]client.Key{key}, clienttest.Keys(t)(r.forSecret(t.Context(), client.Event{Type: client.Added, Object: secret}))); diff != "" {
		t.Error(diff)
	}
	if resource = run(t, fake, nil); resource.Status.Phase != cachev1alpha1.ClusterCachedResourcePhaseReady {
		t.Errorf("status: %+v", resource.Status)
	}
}

func TestReconcile_Deletion(t *testing.T) {
	now := metav1.Now()
	fake := clienttest.NewFake(newResource(func(r *cachev1alpha1.ClusterCachedResource) {
		r.DeletionTimestamp, r.Finalizers = &now, []string{cachev1alpha1.ClusterCachedResourceFinalizer, "example.com/hold"}
		r.Status.Phase = cachev1alpha1.ClusterCachedResourcePhaseReady
	}))
	resource := run(t, fake, nil)
	if !slices.Equal(resource.Finalizers, []string{"example.com/hold"}) || resource.Status.Phase != cachev1alpha1.ClusterCachedResourcePhaseDeleted {
		t.Errorf("object: %+v", resource)
	}
}

func TestKeys(t *testing.T) {
	r := &reconciler{client: clienttest.NewFake(newResource(), newResource(func(o *cachev1alpha1.ClusterCachedResource) { o.Name, o.Spec.Resource = "others", "others" }))}
	for name, keys := range map[string][]client.Key{
		"definition": clienttest.Keys(t)(r.forDefinition(t.Context(), client.Event{Object: newDefinition(cluster, "flavors.example.com")})),
		"binding":    clienttest.Keys(t)(r.forBinding(t.Context(), client.Event{Object: newBinding()})),
	} {
		if diff := cmp.Diff([]client.Key{key}, keys); diff != "" {
			t.Error(name, diff)
		}
	}
	if keys := clienttest.Keys(t)(r.forDefinition(t.Context(), client.Event{Object: newDefinition("other", "flavors.example.com")})); len(keys) > 0 {
		t.Errorf("a definition of another cluster: %v", keys)
	}
}
