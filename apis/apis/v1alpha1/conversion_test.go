package v1alpha1

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

func crdStorage() apisv1alpha2.ResourceSchemaStorage {
	return apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}}
}

func virtualStorage() apisv1alpha2.ResourceSchemaStorage {
	return apisv1alpha2.ResourceSchemaStorage{Virtual: &apisv1alpha2.ResourceSchemaStorageVirtual{IdentityHash: "abc"}}
}

func TestConvertAPIExport_ReadsNamesOfSchemas(t *testing.T) {
	in := &APIExport{Spec: APIExportSpec{LatestResourceSchemas: []string{"v1.widgets.example.com", "v2.things.core"}}}
	out := &apisv1alpha2.APIExport{}
	if err := Convert_v1alpha1_APIExport_To_v1alpha2_APIExport(in, out, nil); err != nil {
		t.Fatal(err)
	}
	want := &apisv1alpha2.APIExport{Spec: apisv1alpha2.APIExportSpec{Resources: []apisv1alpha2.ResourceSchema{
		{Name: "widgets", Group: "example.com", Schema: "v1.widgets.example.com", Storage: crdStorage()},
		{Name: "things", Group: "", Schema: "v2.things.core", Storage: crdStorage()},
	}}}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("unexpected result (-want +got):\n%s", diff)
	}
}

func TestConvertAPIExport_KeepsWhatOldClientsDoNotKnow(t *testing.T) {
	stored := &apisv1alpha2.APIExport{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"mine": "stays"}},
		Spec: apisv1alpha2.APIExportSpec{
			Resources: []apisv1alpha2.ResourceSchema{
				{Name: "a", Group: "example.com", Schema: "v1.a.example.com", Storage: virtualStorage()},
				{Name: "b", Group: "example.com", Schema: "v1.b.example.com", Storage: crdStorage()},
			},
			PermissionClaims: []apisv1alpha2.PermissionClaim{
				{GroupResource: apisv1alpha2.GroupResource{Resource: "secrets"}, Verbs: []string{"get"}},
				{GroupResource: apisv1alpha2.GroupResource{Resource: "configmaps"}, Verbs: []string{"list"}},
			},
		},
	}
	old := &APIExport{}
	if err := Convert_v1alpha2_APIExport_To_v1alpha1_APIExport(stored, old, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"v1.b.example.com"}, old.Spec.LatestResourceSchemas); diff != "" {
		t.Fatalf("an old client sees (-want +got):\n%s", diff)
	}
	for _, key := range []string{ResourceSchemasAnnotation, PermissionClaimsAnnotation} {
		if old.Annotations[key] == "" {
			t.Errorf("annotation %s is missing in %v", key, old.Annotations)
		}
	}

	// The old client adds a schema and drops a claim.
	old.Spec.LatestResourceSchemas = append(old.Spec.LatestResourceSchemas, "v1.c.example.com")
	old.Spec.PermissionClaims = old.Spec.PermissionClaims[:1]
	got := &apisv1alpha2.APIExport{}
	if err := Convert_v1alpha1_APIExport_To_v1alpha2_APIExport(old, got, nil); err != nil {
		t.Fatal(err)
	}
	want := &apisv1alpha2.APIExport{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"mine": "stays"}},
		Spec: apisv1alpha2.APIExportSpec{
			Resources: []apisv1alpha2.ResourceSchema{
				{Name: "b", Group: "example.com", Schema: "v1.b.example.com", Storage: crdStorage()},
				{Name: "c", Group: "example.com", Schema: "v1.c.example.com", Storage: crdStorage()},
				{Name: "a", Group: "example.com", Schema: "v1.a.example.com", Storage: virtualStorage()},
			},
			PermissionClaims: stored.Spec.PermissionClaims[:1],
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after the change of an old client (-want +got):\n%s", diff)
	}
}

// An old client that answers a claim anew must not widen what was granted before.
func TestConvertAPIBinding_NewAnswerOfOldClientKeepsVerbsAndSelector(t *testing.T) {
	stored := &apisv1alpha2.APIBinding{Spec: apisv1alpha2.APIBindingSpec{PermissionClaims: []apisv1alpha2.AcceptablePermissionClaim{{
		ScopedPermissionClaim: apisv1alpha2.ScopedPermissionClaim{
			PermissionClaim: apisv1alpha2.PermissionClaim{GroupResource: apisv1alpha2.GroupResource{Resource: "secrets"}, Verbs: []string{"get"}},
			Selector:        apisv1alpha2.PermissionClaimSelector{LabelSelector: metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}},
		},
		State: apisv1alpha2.ClaimRejected,
	}}}}
	old, got := &APIBinding{}, &apisv1alpha2.APIBinding{}
	if err := Convert_v1alpha2_APIBinding_To_v1alpha1_APIBinding(stored, old, nil); err != nil {
		t.Fatal(err)
	}
	old.Spec.PermissionClaims[0].State = ClaimAccepted
	if err := Convert_v1alpha1_APIBinding_To_v1alpha2_APIBinding(old, got, nil); err != nil {
		t.Fatal(err)
	}
	want := stored.DeepCopy()
	want.Spec.PermissionClaims[0].State = apisv1alpha2.ClaimAccepted
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unexpected result (-want +got):\n%s", diff)
	}
}

// A stored object that somebody gave a broken annotation must stay readable.
func TestConvert_DropsBrokenAnnotations(t *testing.T) {
	in := &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		V1Alpha1PermissionClaimsAnnotation: "{", ResourceSchemasAnnotation: "[", PermissionClaimsAnnotation: "x",
	}}}
	out := &APIExport{}
	if err := Convert_v1alpha2_APIExport_To_v1alpha1_APIExport(in, out, nil); err != nil {
		t.Fatal(err)
	}
	if len(out.Annotations) != 0 {
		t.Errorf("annotations left: %v", out.Annotations)
	}
	if len(in.Annotations) != 3 {
		t.Errorf("the source was changed: %v", in.Annotations)
	}
}
