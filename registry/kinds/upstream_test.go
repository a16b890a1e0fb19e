package kinds_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/registry/rest/resttest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/utils/ptr"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/registry/rbac"
)

// Upstream's suite for REST storage, on that of each kind, in one cluster. It is not for namespaces, whose storage deletes in two steps and no
// collections, as upstream's; and not for reviews, which store nothing. Of TestDeleteGraceful there is nothing to test: no kind here is
// deleted gracefully.

// sample is what a kind is tested with.
type sample struct {
	valid runtime.Object
	// invalid are objects that are refused, and broken makes a valid one such that its update is.
	invalid []runtime.Object
	broken  []func(runtime.Object)
	// leftOut says why nothing is tested.
	leftOut string
}

// samples returns one for each resource with REST storage, as "resource.group".
func samples() map[string]sample {
	const (
		named     = "its name follows from what is in it, so that no two objects of the suite can be made"
		notBare   = "is written by the server, or completed by admission plugins, without which its storage refuses it"
		shown     = "shows a status that is not stored, and the suite compares what it reads with what it has put into storage"
		stockCode = "is upstream's own storage; " + named
	)
	rules := []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}}
	role := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "reader"}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "alice"}}
	hookRules := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}, Scope: ptr.To(admissionregistrationv1.AllScopes),
		},
	}}
	hook := admissionregistrationv1.WebhookClientConfig{URL: ptr.To("https://hook.example.com")}
	return map[string]sample{
		"configmaps": {
			valid:   &corev1.ConfigMap{Data: map[string]string{"a": "b"}},
			invalid: []runtime.Object{&corev1.ConfigMap{Data: map[string]string{"a/b": "c"}}},
			broken:  []func(runtime.Object){func(obj runtime.Object) { obj.(*corev1.ConfigMap).Data = map[string]string{"a/b": "c"} }},
		},
		"secrets": {
			valid:   &corev1.Secret{Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"a": []byte("b")}},
			invalid: []runtime.Object{&corev1.Secret{Type: corev1.SecretTypeDockerConfigJson}},
			broken:  []func(runtime.Object){func(obj runtime.Object) { obj.(*corev1.Secret).Type = "other" }},
		},
		"serviceaccounts": {valid: &corev1.ServiceAccount{Secrets: []corev1.ObjectReference{{Name: "a"}}}},
		"limitranges": {
			valid: &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type: corev1.LimitTypePod, Max: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
			}}}},
			invalid: []runtime.Object{&corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type: corev1.LimitTypePod, Default: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
			}}}}},
		},
		"resourcequotas": {
			valid: &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("5")}}},
			broken: []func(runtime.Object){func(obj runtime.Object) {
				obj.(*corev1.ResourceQuota).Spec.Scopes = []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating}
			}},
		},
		"events": {leftOut: "has a time to live, and the namespace of what it is about"},
		"leases.coordination.k8s.io": {
			valid:   &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr.To("a"), LeaseDurationSeconds: ptr.To[int32](15)}},
			invalid: []runtime.Object{&coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: ptr.To[int32](-1)}}},
			broken:  []func(runtime.Object){func(obj runtime.Object) { obj.(*coordinationv1.Lease).Spec.LeaseDurationSeconds = ptr.To[int32](0) }},
		},
		"roles.rbac.authorization.k8s.io": {
			valid:   &rbacv1.Role{Rules: rules},
			invalid: []runtime.Object{&rbacv1.Role{Rules: []rbacv1.PolicyRule{{}}}},
			broken:  []func(runtime.Object){func(obj runtime.Object) { obj.(*rbacv1.Role).Rules[0].Verbs = nil }},
		},
		"clusterroles.rbac.authorization.k8s.io": {valid: &rbacv1.ClusterRole{Rules: rules}},
		"rolebindings.rbac.authorization.k8s.io": {
			valid:  &rbacv1.RoleBinding{RoleRef: role, Subjects: subjects},
			broken: []func(runtime.Object){func(obj runtime.Object) { obj.(*rbacv1.RoleBinding).RoleRef.Name = "other" }},
		},
		"clusterrolebindings.rbac.authorization.k8s.io": {
			valid:  &rbacv1.ClusterRoleBinding{RoleRef: role, Subjects: subjects},
			broken: []func(runtime.Object){func(obj runtime.Object) { obj.(*rbacv1.ClusterRoleBinding).Subjects[0].Kind = "Robot" }},
		},
		"validatingwebhookconfigurations.admissionregistration.k8s.io": {
			valid: &admissionregistrationv1.ValidatingWebhookConfiguration{Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name: "a.example.com", ClientConfig: hook, Rules: hookRules, FailurePolicy: ptr.To(admissionregistrationv1.Fail),
				MatchPolicy: ptr.To(admissionregistrationv1.Equivalent), NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{},
				SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone), TimeoutSeconds: ptr.To[int32](10), AdmissionReviewVersions: []string{"v1"},
			}}},
			broken: []func(runtime.Object){func(obj runtime.Object) {
				obj.(*admissionregistrationv1.ValidatingWebhookConfiguration).Webhooks[0].Name = "short"
			}},
		},
		"mutatingwebhookconfigurations.admissionregistration.k8s.io": {
			valid: &admissionregistrationv1.MutatingWebhookConfiguration{Webhooks: []admissionregistrationv1.MutatingWebhook{{
				Name: "a.example.com", ClientConfig: hook, Rules: hookRules, FailurePolicy: ptr.To(admissionregistrationv1.Fail),
				MatchPolicy: ptr.To(admissionregistrationv1.Equivalent), NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{},
				ReinvocationPolicy: ptr.To(admissionregistrationv1.NeverReinvocationPolicy),
				SideEffects:        ptr.To(admissionregistrationv1.SideEffectClassNone), TimeoutSeconds: ptr.To[int32](10), AdmissionReviewVersions: []string{"v1"},
			}}},
		},
		"validatingadmissionpolicies.admissionregistration.k8s.io": {
			valid: &admissionregistrationv1.ValidatingAdmissionPolicy{Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				FailurePolicy: ptr.To(admissionregistrationv1.Fail),
				MatchConstraints: &admissionregistrationv1.MatchResources{
					MatchPolicy: ptr.To(admissionregistrationv1.Equivalent), NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{},
					ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: hookRules[0]}},
				},
				Validations: []admissionregistrationv1.Validation{{Expression: "true"}},
			}},
			broken: []func(runtime.Object){func(obj runtime.Object) {
				obj.(*admissionregistrationv1.ValidatingAdmissionPolicy).Spec.Validations[0].Expression = "1 +"
			}},
		},
		"validatingadmissionpolicybindings.admissionregistration.k8s.io": {
			valid: &admissionregistrationv1.ValidatingAdmissionPolicyBinding{Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: "a", ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			}},
			invalid: []runtime.Object{&admissionregistrationv1.ValidatingAdmissionPolicyBinding{}},
		},
		"mutatingadmissionpolicies.admissionregistration.k8s.io": {
			valid: &admissionregistrationv1.MutatingAdmissionPolicy{Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
				FailurePolicy: ptr.To(admissionregistrationv1.Fail), ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
				MatchConstraints: &admissionregistrationv1.MatchResources{
					MatchPolicy: ptr.To(admissionregistrationv1.Equivalent), NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{},
					ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: hookRules[0]}},
				},
				Mutations: []admissionregistrationv1.Mutation{{
					PatchType:          admissionregistrationv1.PatchTypeApplyConfiguration,
					ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: `Object{metadata: Object.metadata{labels: {"a": "b"}}}`},
				}},
			}},
		},
		"mutatingadmissionpolicybindings.admissionregistration.k8s.io": {
			valid: &admissionregistrationv1.MutatingAdmissionPolicyBinding{Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "a"}},
		},
		"certificatesigningrequests.certificates.k8s.io":       {leftOut: "belongs to the user who makes it, and the suite has none"},
		"customresourcedefinitions.apiextensions.k8s.io":       {leftOut: stockCode},
		"events.events.k8s.io":                                 {leftOut: "is another version of events"},
		"workspacetypes.tenancy.kcp.io":                        {leftOut: shown},
		"workspaceauthenticationconfigurations.tenancy.kcp.io": {valid: &tenancyv1alpha1.WorkspaceAuthenticationConfiguration{}},
		"workspaces.tenancy.kcp.io":                            {leftOut: notBare},
		"logicalclusters.core.kcp.io":                          {leftOut: named},
		"shards.core.kcp.io":                                   {leftOut: notBare},
		"partitions.topology.kcp.io":                           {valid: &topologyv1alpha1.Partition{}},
		"partitionsets.topology.kcp.io":                        {valid: &topologyv1alpha1.PartitionSet{}},
		"apiresourceschemas.apis.kcp.io":                       {leftOut: named},
		"apiconversions.apis.kcp.io": {
			valid:   &apisv1alpha1.APIConversion{Spec: apisv1alpha1.APIConversionSpec{Conversions: []apisv1alpha1.APIVersionConversion{{From: "v1", To: "v2"}}}},
			invalid: []runtime.Object{&apisv1alpha1.APIConversion{}},
		},
		"apiexports.apis.kcp.io":                           {valid: &apisv1alpha2.APIExport{}},
		"apiexportendpointslices.apis.kcp.io":              {leftOut: notBare},
		"apibindings.apis.kcp.io":                          {leftOut: notBare},
		"clustercachedresources.cache.kcp.io":              {leftOut: notBare},
		"clustercachedresourceendpointslices.cache.kcp.io": {leftOut: notBare},
		"hostbindings.annex.dev":                           {leftOut: notBare},
		"apiexportrollouts.annex.dev": {
			valid:   &annexv1alpha1.APIExportRollout{Spec: annexv1alpha1.APIExportRolloutSpec{Waves: []annexv1alpha1.RolloutWave{{Percentage: ptr.To[int32](10)}}}},
			invalid: []runtime.Object{&annexv1alpha1.APIExportRollout{Spec: annexv1alpha1.APIExportRolloutSpec{Waves: []annexv1alpha1.RolloutWave{{}}}}},
			broken:  []func(runtime.Object){func(obj runtime.Object) { obj.(*annexv1alpha1.APIExportRollout).Spec.MaxFailures = -1 }},
		},
		"workspaceaccesses.annex.dev": {leftOut: notBare},
		"apichangereports.annex.dev": {
			valid:   &annexv1alpha1.APIChangeReport{Spec: annexv1alpha1.APIChangeReportSpec{Export: "widgets", Schemas: []string{"v2.widgets.example.com"}}},
			invalid: []runtime.Object{&annexv1alpha1.APIChangeReport{}, &annexv1alpha1.APIChangeReport{Spec: annexv1alpha1.APIChangeReportSpec{Export: "widgets", Schemas: []string{"a", "a"}}}},
		},
		"apistoragemigrations.annex.dev": {
			valid:   &annexv1alpha1.APIStorageMigration{Spec: annexv1alpha1.APIStorageMigrationSpec{Export: "widgets", Resource: "widgets.example.com"}},
			invalid: []runtime.Object{&annexv1alpha1.APIStorageMigration{}, &annexv1alpha1.APIStorageMigration{Spec: annexv1alpha1.APIStorageMigrationSpec{Resource: "widgets"}}},
		},
		"workspaceclasses.annex.dev": {leftOut: notBare},
		"workspaceclaims.annex.dev":  {leftOut: notBare},
	}
}

const suiteCluster = logicalcluster.Name("c1")

// inCluster is REST storage in one cluster, for requests that name none.
type inCluster struct{ rest.StandardStorage }

func within(ctx context.Context) context.Context {
	ctx = logicalcluster.WithCluster(ctx, suiteCluster)
	return genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}})
}

func (s inCluster) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	return s.StandardStorage.Create(within(ctx), obj, validate, options)
}

func (s inCluster) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.StandardStorage.Update(within(ctx), name, info, create, update, force, options)
}

func (s inCluster) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return s.StandardStorage.Get(within(ctx), name, options)
}

func (s inCluster) List(ctx context.Context, options *metainternalversion.ListOptions) (runtime.Object, error) {
	return s.StandardStorage.List(within(ctx), options)
}

func (s inCluster) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	return s.StandardStorage.Delete(within(ctx), name, validate, options)
}

func (s inCluster) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions, listOptions *metainternalversion.ListOptions) (runtime.Object, error) {
	return s.StandardStorage.DeleteCollection(within(ctx), validate, options, listOptions)
}

func (s inCluster) Watch(ctx context.Context, options *metainternalversion.ListOptions) (watch.Interface, error) {
	return s.StandardStorage.Watch(within(ctx), options)
}

// suite is what upstream's suite needs of a kind.
type suite struct {
	*testing.T
	storage inCluster
	store   *genericregistry.Store // for what is stored without looking
	sample  sample
	request *genericapirequest.RequestInfo
	// stored is what was put last.
	stored runtime.Object
}

// tester returns upstream's, for objects that no other one has made.
func (s *suite) tester(names string) *resttest.Tester {
	tester := resttest.New(s.T, s.storage).Namer(func(i int) string { return names + strconv.Itoa(i) })
	tester.SetRequestInfo(s.request)
	if !s.storage.StandardStorage.(rest.Scoper).NamespaceScoped() {
		tester = tester.ClusterScope()
	}
	if s.store.ReturnDeletedObject {
		tester = tester.ReturnDeletedObject()
	}
	if s.store.UpdateStrategy.AllowCreateOnUpdate(within(s.Context())) {
		tester = tester.AllowCreateOnUpdate()
	}
	return tester
}

// put stores an object as it is.
func (s *suite) put(ctx context.Context, obj runtime.Object) error {
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	key, err := s.store.KeyFunc(ctx, accessor.GetName())
	if err != nil {
		return err
	}
	out := s.store.NewFunc()
	if err := s.store.Storage.Create(within(ctx), key, obj, out, 0, false); err != nil {
		return err
	}
	s.stored = out
	return nil
}

func (s *suite) get(ctx context.Context, obj runtime.Object) (runtime.Object, error) {
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	return s.storage.Get(ctx, accessor.GetName(), &metav1.GetOptions{})
}

// replace makes objects the only ones.
func (s *suite) replace(objects []runtime.Object) []runtime.Object {
	ctx := s.tester("").TestContext()
	if _, err := s.storage.DeleteCollection(ctx, rest.ValidateAllObjectFunc, nil, nil); err != nil {
		s.Errorf("deleting all: %v", err)
	}
	for i, obj := range objects {
		if err := s.put(ctx, obj); err != nil {
			s.Errorf("storing: %v", err)
		}
		objects[i] = s.stored
	}
	return objects
}

// emit does something to the object that is watched.
func (s *suite) emit(obj runtime.Object, action string) error {
	ctx := s.tester("").TestContext()
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	if action == "create" {
		created := obj.DeepCopyObject()
		return s.put(ctx, created)
	}
	_, _, err = s.storage.Delete(ctx, accessor.GetName(), rest.ValidateAllObjectFunc, nil)
	return err
}

// named returns a copy of the valid object.
func (s *suite) named(name string) (runtime.Object, metav1.Object) {
	obj := s.sample.valid.DeepCopyObject()
	accessor, err := meta.Accessor(obj)
	if err != nil {
		s.Fatal(err)
	}
	accessor.SetName(name)
	accessor.SetNamespace(s.tester("").TestNamespace())
	return obj, accessor
}

func (s *suite) run() {
	valid, _ := s.named("valid")
	named, accessor := s.named("watched")
	accessor.SetLabels(map[string]string{"color": "red"})
	// First, since the history is as long as that of a new cache.
	s.tester("").TestWatch(named, s.emit,
		[]labels.Set{{"color": "red"}}, []labels.Set{{"color": "blue"}},
		[]fields.Set{{"metadata.name": "watched"}}, []fields.Set{{"metadata.name": "other"}},
		[]string{"create", "delete"})
	s.tester("create").TestCreate(valid, s.put, s.get, s.sample.invalid...)
	var broken []resttest.UpdateFunc
	for _, change := range s.sample.broken {
		broken = append(broken, func(obj runtime.Object) runtime.Object {
			change(obj)
			return obj
		})
	}
	// A test of it relies on upstream's names.
	s.tester("foo").TestUpdate(valid, s.put, s.get, func(obj runtime.Object) runtime.Object {
		accessor, err := meta.Accessor(obj)
		if err != nil {
			s.Fatal(err)
		}
		accessor.SetLabels(map[string]string{"a": "b"})
		return obj
	}, broken...)
	s.tester("get").TestGet(valid)
	s.tester("delete").TestDelete(valid, s.put, s.get, apierrors.IsNotFound)
	s.tester("list").TestList(valid, s.replace)
}

func TestUpstream(t *testing.T) {
	client := testserver.RunEtcd(t, nil)
	all, backend := groupsOver(t, client, (*rbac.Stores).Unguarded)
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	samples, tested := samples(), map[string]bool{}
	for _, g := range all {
		for _, version := range slices.Sorted(maps.Keys(g.Versions)) {
			for _, name := range slices.Sorted(maps.Keys(g.Versions[version])) {
				storage, ok := g.Versions[version][name].(rest.StandardStorage)
				id := schema.GroupResource{Group: g.Name, Resource: name}.String()
				if !ok || tested[id] {
					continue
				}
				tested[id] = true
				t.Run(id, func(t *testing.T) {
					sample, ok := samples[id]
					switch {
					case !ok:
						t.Fatalf("there is no sample of it, a %T", storage)
					case sample.leftOut != "":
						t.Skip(sample.leftOut)
					}
					t.Parallel() // it waits for what must not happen
					(&suite{
						T: t, storage: inCluster{storage}, store: g.System[name], sample: sample,
						request: &genericapirequest.RequestInfo{APIGroup: g.Name, APIVersion: version, Resource: name},
					}).run()
				})
			}
		}
	}
	for id := range samples {
		if !tested[id] {
			t.Errorf("%s has no REST storage", id)
		}
	}
}
