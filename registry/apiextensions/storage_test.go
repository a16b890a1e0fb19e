package apiextensions

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

// patience is how long tests wait for what must happen; nothing waits that long when it works.
const patience = 2 * time.Minute

func newGroup(t *testing.T) *group.Group {
	t.Helper()
	client := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = client.Close() })
	s := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: client, Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	g, err := NewGroup(s, backend.RESTOptionsGetter())
	if err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	return g
}

func in(t *testing.T, cluster logicalcluster.Name) context.Context {
	t.Helper()
	ctx := genericapirequest.WithNamespace(logicalcluster.WithCluster(t.Context(), cluster), metav1.NamespaceNone)
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{IsResourceRequest: true, APIGroup: apiextensions.GroupName, Resource: resourceName})
}

// definition returns the internal form of a small definition in v1, as decoding a request would.
func definition(change ...func(*apiextensions.CustomResourceDefinition)) *apiextensions.CustomResourceDefinition {
	crd := internal(&apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group:    "example.com",
			Scope:    apiextensionsv1.NamespaceScoped,
			Names:    apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{version("v1", true)},
		},
	})
	for _, c := range change {
		c(crd)
	}
	return crd
}

func version(name string, storage bool) apiextensionsv1.CustomResourceDefinitionVersion {
	return apiextensionsv1.CustomResourceDefinitionVersion{Name: name, Served: true, Storage: storage,
		Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}}}
}

func internal(crd *apiextensionsv1.CustomResourceDefinition) *apiextensions.CustomResourceDefinition {
	apiextensionsv1.SetObjectDefaults_CustomResourceDefinition(crd)
	out := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, out, nil); err != nil {
		panic(err)
	}
	return out
}

func inGroup(name string) func(*apiextensions.CustomResourceDefinition) {
	return func(crd *apiextensions.CustomResourceDefinition) {
		crd.Spec.Group = name
		crd.Name = "widgets." + name
	}
}

func annotated(key string) func(*apiextensions.CustomResourceDefinition) {
	return func(crd *apiextensions.CustomResourceDefinition) { crd.Annotations = map[string]string{key: "x"} }
}

func byWebhook(crd *apiextensions.CustomResourceDefinition) {
	url := "https://example.com/convert"
	crd.Spec.Conversion = &apiextensions.CustomResourceConversion{
		Strategy:                 apiextensions.WebhookConverter,
		WebhookClientConfig:      &apiextensions.WebhookClientConfig{URL: &url},
		ConversionReviewVersions: []string{"v1"},
	}
}

// costly makes a definition exceed the limits.
func costly(crd *apiextensions.CustomResourceDefinition) {
	pattern := strings.Repeat("a.{0,900}b", 12)
	crd.Spec.Validation.OpenAPIV3Schema.Properties = map[string]apiextensions.JSONSchemaProps{"a": {Type: "string", Pattern: pattern}}
}

func users(g *group.Group) rest.StandardStorage {
	return g.Versions["v1"][resourceName].(rest.StandardStorage)
}

func TestCreate(t *testing.T) {
	g := newGroup(t)
	for _, tc := range []struct {
		name    string
		cluster logicalcluster.Name
		crd     *apiextensions.CustomResourceDefinition
		want    func(error) bool
		wantIn  string
	}{
		{name: "plain", cluster: "c1", crd: definition()},
		{name: "the same elsewhere", cluster: "c2", crd: definition()},
		{name: "twice", cluster: "c1", crd: definition(), want: apierrors.IsAlreadyExists},
		{name: "reserved group", cluster: "c1", crd: definition(inGroup("apis.kcp.io")), want: apierrors.IsForbidden, wantIn: "reserved"},
		{name: "below the reserved group", cluster: "c1", crd: definition(inGroup("x.apis.kcp.io")), want: apierrors.IsForbidden, wantIn: "reserved"},
		{name: "another group that ends alike", cluster: "c1", crd: definition(inGroup("myapis.kcp.io"))},
		{name: "reserved annotation", cluster: "c3", crd: definition(annotated("apis.kcp.io/bound-crd")), want: apierrors.IsForbidden, wantIn: "apis.kcp.io/bound-crd"},
		{name: "reserved annotation below", cluster: "c3", crd: definition(annotated("internal.apis.kcp.io/x")), want: apierrors.IsForbidden, wantIn: "reserved"},
		{name: "reserved annotation in a cluster of the server", cluster: logicalcluster.SystemShard, crd: definition(annotated("apis.kcp.io/x"))},
		{name: "conversion by webhook", cluster: "c3", crd: definition(byWebhook)},
		{
			name: "selectable fields without a schema", cluster: "c3", want: apierrors.IsInvalid, wantIn: "spec.selectableFields",
			crd: definition(func(crd *apiextensions.CustomResourceDefinition) {
				crd.Spec.SelectableFields = []apiextensions.SelectableField{{JSONPath: ".spec.text"}}
				crd.Spec.Validation = &apiextensions.CustomResourceValidation{}
			}),
		},
		{
			name: "selectable fields and a schema that is not structural", cluster: "c3", want: apierrors.IsInvalid, wantIn: "spec.selectableFields",
			crd: definition(func(crd *apiextensions.CustomResourceDefinition) {
				ref := "#/definitions/text"
				crd.Spec.SelectableFields = []apiextensions.SelectableField{{JSONPath: ".spec.text"}}
				crd.Spec.Validation.OpenAPIV3Schema.Properties = map[string]apiextensions.JSONSchemaProps{"spec": {Ref: &ref}}
			}),
		},
		{
			name: "costly", cluster: "c3", want: apierrors.IsInvalid, wantIn: "spec.versions: Invalid value: ",
			crd: definition(costly),
		},
		{
			name: "not structural", cluster: "c3", want: apierrors.IsInvalid, wantIn: "must not be empty for specified object fields",
			crd: definition(func(crd *apiextensions.CustomResourceDefinition) {
				crd.Spec.Validation.OpenAPIV3Schema.Properties = map[string]apiextensions.JSONSchemaProps{"spec": {}}
			}),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			obj, err := users(g).Create(in(t, tc.cluster), tc.crd, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
			switch {
			case tc.want == nil && err != nil:
				t.Fatal(err)
			case tc.want == nil:
				crd := obj.(*apiextensions.CustomResourceDefinition)
				if !slices.Equal(crd.Status.StoredVersions, []string{"v1"}) || crd.Annotations[logicalcluster.AnnotationKey] != tc.cluster.String() {
					t.Errorf("created %v", crd)
				}
			case !tc.want(err) || !strings.Contains(err.Error(), tc.wantIn):
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestUpdate_KeepsReservedAnnotations(t *testing.T) {
	g := newGroup(t)
	ctx := in(t, "c1")
	if _, err := users(g).Create(ctx, definition(), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	change := func(store rest.Updater, change func(*apiextensions.CustomResourceDefinition)) error {
		info := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
			crd := old.(*apiextensions.CustomResourceDefinition).DeepCopy()
			change(crd)
			return crd, nil
		})
		_, _, err := store.Update(ctx, "widgets.example.com", info, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		return err
	}
	set := func(key string) func(*apiextensions.CustomResourceDefinition) {
		return func(crd *apiextensions.CustomResourceDefinition) { crd.Annotations[key] = "x" }
	}
	if err := change(users(g), set("example.com/x")); err != nil {
		t.Error(err)
	}
	if err := change(users(g), set("apis.kcp.io/x")); !apierrors.IsForbidden(err) {
		t.Errorf("error %v, want forbidden", err)
	}
	status := g.Versions["v1"][resourceName+"/status"].(rest.Updater)
	if err := change(status, set("apis.kcp.io/x")); !apierrors.IsForbidden(err) {
		t.Errorf("through status: error %v, want forbidden", err)
	}
	if err := change(users(g), byWebhook); err != nil {
		t.Errorf("conversion by webhook: %v", err)
	}
	if err := change(asUpdater{g.System[resourceName]}, set("apis.kcp.io/x")); err != nil {
		t.Errorf("the server's own write: %v", err)
	}
	if err := change(users(g), func(crd *apiextensions.CustomResourceDefinition) { crd.Labels = map[string]string{"a": "b"} }); err != nil {
		t.Errorf("a reserved annotation that was there already: %v", err)
	}
}

// What exceeds the limits already can be used and changed, except its spec.
func TestUpdate_LimitsWhatChanges(t *testing.T) {
	g := newGroup(t)
	ctx := in(t, "c1")
	if _, err := g.System[resourceName].Create(ctx, definition(costly), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	change := func(change func(*apiextensions.CustomResourceDefinition)) error {
		info := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
			crd := old.(*apiextensions.CustomResourceDefinition).DeepCopy()
			change(crd)
			return crd, nil
		})
		_, _, err := users(g).Update(ctx, "widgets.example.com", info, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		return err
	}
	if err := change(func(crd *apiextensions.CustomResourceDefinition) { crd.Labels = map[string]string{"a": "b"} }); err != nil {
		t.Errorf("a label: %v", err)
	}
	if err := change(func(crd *apiextensions.CustomResourceDefinition) { crd.Spec.Names.ShortNames = []string{"w"} }); !apierrors.IsInvalid(err) {
		t.Errorf("the spec: %v, want invalid", err)
	}
	if err := change(func(crd *apiextensions.CustomResourceDefinition) {
		crd.Spec.Validation.OpenAPIV3Schema.Properties = nil
	}); err != nil {
		t.Errorf("the spec within the limits: %v", err)
	}
}

type asUpdater struct{ *genericregistry.Store }

func TestSystem_KeepsStatus(t *testing.T) {
	g := newGroup(t)
	system := g.System[resourceName]
	ctx := in(t, logicalcluster.SystemBoundCRDs)
	crd := definition(annotated("apis.kcp.io/bound-crd"), func(crd *apiextensions.CustomResourceDefinition) {
		crd.Name = "0d2b3b5e-0000-4000-8000-000000000000"
		crd.Status.AcceptedNames = crd.Spec.Names
		crd.Status.Conditions = []apiextensions.CustomResourceDefinitionCondition{{Type: apiextensions.Established, Status: apiextensions.ConditionTrue}}
	})
	obj, err := system.Create(ctx, crd, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	created := obj.(*apiextensions.CustomResourceDefinition)
	if !apiextensions.IsCRDConditionTrue(created, apiextensions.Established) || created.Status.AcceptedNames.Plural != "widgets" ||
		!slices.Equal(created.Status.StoredVersions, []string{"v1"}) || created.Generation != 1 {
		t.Errorf("created %+v", created.Status)
	}
	changed := created.DeepCopy()
	changed.Spec.Versions = []apiextensions.CustomResourceDefinitionVersion{{Name: "v1", Served: true}, {Name: "v2", Served: true, Storage: true}}
	changed.Status.Conditions = nil
	obj, _, err = system.Update(ctx, changed.Name, rest.DefaultUpdatedObjectInfo(changed), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	updated := obj.(*apiextensions.CustomResourceDefinition)
	if updated.Status.Conditions != nil || !slices.Equal(updated.Status.StoredVersions, []string{"v1", "v2"}) || updated.Generation != 2 {
		t.Errorf("updated to generation %d, %+v", updated.Generation, updated.Status)
	}
	// The objects of a bound definition are not its own: nothing holds it.
	if _, gone, err := users(g).Delete(ctx, updated.Name, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil || !gone {
		t.Errorf("deleted at once: %t, error %v", gone, err)
	}
}

func TestDelete_WaitsForInstances(t *testing.T) {
	g := newGroup(t)
	ctx := in(t, "c1")
	if _, err := users(g).Create(ctx, definition(), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, gone, err := users(g).Delete(ctx, "widgets.example.com", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil || gone {
		t.Fatalf("deleted at once: %t, error %v", gone, err)
	}
	obj, err := users(g).Get(ctx, "widgets.example.com", &metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	crd := obj.(*apiextensions.CustomResourceDefinition)
	if crd.DeletionTimestamp == nil || !slices.Contains(crd.Finalizers, apiextensions.CustomResourceCleanupFinalizer) {
		t.Errorf("got %+v", crd.ObjectMeta)
	}
}
