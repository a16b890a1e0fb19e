package apiexport

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const cluster = logicalcluster.Name("provider")

var key = client.Key{Cluster: cluster, Name: "things"}

func newExport(change func(*apisv1alpha2.APIExport)) *apisv1alpha2.APIExport {
	export := clienttest.In(cluster, &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: key.Name, UID: "uid-things"}})
	change(export)
	return export
}

func newSecret(namespace, name, data string) *corev1.Secret {
	return clienttest.In(cluster, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{"key": []byte(data)},
	})
}

func refersToMine(export *apisv1alpha2.APIExport) {
	export.Spec.Identity = &apisv1alpha2.Identity{SecretRef: &corev1.SecretReference{Namespace: "default", Name: "mine"}}
}

// run reconciles until nothing is written any more.
func run(t *testing.T, fake *clienttest.Fake) {
	t.Helper()
	r := &reconciler{client: fake, content: clienttest.NewContent(fake), targets: multicluster.NewTargets()}
	for range 5 {
		before := len(fake.Writes())
		if _, err := r.reconcile(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if len(fake.Writes()) == before {
			if keys := fake.Mutated(); len(keys) > 0 {
				t.Errorf("objects of the watch cache were changed: %v", keys)
			}
			return
		}
	}
	t.Fatalf("reconciling does not settle: %v", fake.Writes())
}

func read[T any](t *testing.T, fake *clienttest.Fake, gr schema.GroupResource, key client.Key) *T {
	t.Helper()
	obj, err := fake.Get(t.Context(), gr, key)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return any(obj).(*T)
}

func TestReconcile_NewExport(t *testing.T) {
	fake := clienttest.NewFake(newExport(func(*apisv1alpha2.APIExport) {}))
	run(t, fake)
	want := []string{
		"create namespaces provider|kcp-system",
		"create secrets provider|kcp-system/things",
		"update apiexports.apis.kcp.io provider|things",
		"create apiexportendpointslices.apis.kcp.io provider|things",
	}
	if diff := cmp.Diff(want, fake.Writes()); diff != "" {
		t.Error(diff)
	}
	secret := read[corev1.Secret](t, fake, secrets, client.Key{Cluster: cluster, Namespace: "kcp-system", Name: "things"})
	export := read[apisv1alpha2.APIExport](t, fake, exports, key)
	if export.Status.IdentityHash != identity.Hash(secret.Data["key"]) || len(secret.Data["key"]) != 64 {
		t.Errorf("hash %q of key %q", export.Status.IdentityHash, secret.Data["key"])
	}
	if diff := cmp.Diff(&corev1.SecretReference{Namespace: "kcp-system", Name: "things"}, export.Spec.Identity.SecretRef); diff != "" {
		t.Error(diff)
	}
	if !conditionsv1alpha1.IsTrue(export, apisv1alpha2.APIExportIdentityValid) {
		t.Errorf("conditions: %+v", export.Status.Conditions)
	}
	slice := read[apisv1alpha1.APIExportEndpointSlice](t, fake, endpointSlices, key)
	if diff := cmp.Diff(apisv1alpha1.ExportBindingReference{Path: "provider", Name: "things"}, slice.Spec.APIExport); diff != "" {
		t.Error(diff)
	}
	wantOwner := []metav1.OwnerReference{{APIVersion: "apis.kcp.io/v1alpha2", Kind: "APIExport", Name: "things", UID: "uid-things"}}
	if diff := cmp.Diff(wantOwner, slice.OwnerReferences); diff != "" {
		t.Error(diff)
	}
}

func TestReconcile_Identity(t *testing.T) {
	for name, tc := range map[string]struct {
		export *apisv1alpha2.APIExport
		secret *corev1.Secret
		hash   string
		reason string // empty when the identity is valid
	}{
		"a secret of the user's":   {export: newExport(refersToMine), secret: newSecret("default", "mine", "abc"), hash: identity.Hash([]byte("abc"))},
		"a secret that is missing": {export: newExport(refersToMine), reason: apisv1alpha2.IdentityVerificationFailedReason},
		"a secret without the key": {export: newExport(refersToMine), secret: newSecret("default", "mine", ""), reason: apisv1alpha2.IdentityVerificationFailedReason},
		"a key that changed": {
			export: newExport(func(e *apisv1alpha2.APIExport) {
				refersToMine(e)
				e.Status.IdentityHash = "before"
			}),
			secret: newSecret("default", "mine", "abc"), hash: "before", reason: apisv1alpha2.IdentityVerificationFailedReason,
		},
		"a secret left by an export of the same name": {
			export: newExport(func(*apisv1alpha2.APIExport) {}), secret: newSecret("kcp-system", "things", "abc"), hash: identity.Hash([]byte("abc")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{tc.export}
			if tc.secret != nil {
				objects = append(objects, tc.secret)
			}
			fake := clienttest.NewFake(objects...)
			run(t, fake)
			export := read[apisv1alpha2.APIExport](t, fake, exports, key)
			if export.Status.IdentityHash != tc.hash {
				t.Errorf("hash = %q, want %q", export.Status.IdentityHash, tc.hash)
			}
			if got := conditionsv1alpha1.GetReason(export, apisv1alpha2.APIExportIdentityValid); got != tc.reason {
				t.Errorf("reason = %q, want %q", got, tc.reason)
			}
			if valid := conditionsv1alpha1.IsTrue(export, apisv1alpha2.APIExportIdentityValid); valid != (tc.reason == "") {
				t.Errorf("valid = %v", valid)
			}
		})
	}
}

func TestReconcile_SecretThatComesUp(t *testing.T) {
	fake := clienttest.NewFake(newExport(refersToMine), newExport(func(e *apisv1alpha2.APIExport) { e.Name = "unrelated" }))
	run(t, fake)
	secret := newSecret("default", "mine", "abc")
	if _, err := fake.Create(t.Context(), secrets, cluster, secret); err != nil {
		t.Fatal(err)
	}
	r := &reconciler{client: fake, content: clienttest.NewContent(fake), targets: multicluster.NewTargets()}
	if diff := cmp.Diff([]client.Key{key}, clienttest.Keys(t)(r.forSecret(t.Context(), client.Event{Type: client.Added, Object: secret}))); diff != "" {
		t.Error(diff)
	}
	run(t, fake)
	if export := read[apisv1alpha2.APIExport](t, fake, exports, key); !conditionsv1alpha1.IsTrue(export, apisv1alpha2.APIExportIdentityValid) {
		t.Errorf("conditions: %+v", export.Status.Conditions)
	}
}

func TestReconcile_GenerationThatFails(t *testing.T) {
	fake := clienttest.NewFake(newExport(func(*apisv1alpha2.APIExport) {}))
	fake.Intercept(func(verb string, gr schema.GroupResource, _ client.Key) error {
		if verb == "create" && gr == secrets {
			return apierrors.NewForbidden(gr, "things", nil)
		}
		return nil
	})
	r := &reconciler{client: fake, content: clienttest.NewContent(fake), targets: multicluster.NewTargets()}
	if _, err := r.reconcile(t.Context(), key); err == nil || !strings.Contains(err.Error(), "making secret") {
		t.Errorf("error = %v", err)
	}
	export := read[apisv1alpha2.APIExport](t, fake, exports, key)
	if got := conditionsv1alpha1.GetReason(export, apisv1alpha2.APIExportIdentityValid); got != apisv1alpha2.IdentityGenerationFailedReason {
		t.Errorf("reason = %q", got)
	}
	fake.Intercept(nil)
	run(t, fake)
}

func TestReconcile_Slice(t *testing.T) {
	skipping := newExport(func(e *apisv1alpha2.APIExport) { e.Annotations[apisv1alpha2.APIExportEndpointSliceSkipAnnotation] = "" })
	fake := clienttest.NewFake(skipping)
	run(t, fake)
	if read[apisv1alpha1.APIExportEndpointSlice](t, fake, endpointSlices, key) != nil {
		t.Error("a slice was made in spite of the annotation")
	}

	fake = clienttest.NewFake(newExport(func(*apisv1alpha2.APIExport) {}))
	run(t, fake)
	slice := read[apisv1alpha1.APIExportEndpointSlice](t, fake, endpointSlices, key)
	if diff := cmp.Diff([]client.Key{key}, clienttest.Keys(t)(forSlice(t.Context(), client.Event{Type: client.Deleted, Object: slice}))); diff != "" {
		t.Error(diff)
	}
	if err := fake.Delete(t.Context(), exports, key, nil); err != nil {
		t.Fatal(err)
	}
	run(t, fake)
	if read[apisv1alpha1.APIExportEndpointSlice](t, fake, endpointSlices, key) != nil {
		t.Error("the slice outlives its export")
	}
	if read[corev1.Secret](t, fake, secrets, client.Key{Cluster: cluster, Namespace: "kcp-system", Name: "things"}) == nil {
		t.Error("the identity went with the export")
	}

	mine := clienttest.In(cluster, &apisv1alpha1.APIExportEndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: key.Name}})
	fake = clienttest.NewFake(mine)
	run(t, fake)
	if read[apisv1alpha1.APIExportEndpointSlice](t, fake, endpointSlices, key) == nil {
		t.Error("a slice of the user's was deleted")
	}
}
