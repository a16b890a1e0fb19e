package sharing

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/clienttest"
	rbacpolicy "github.com/annex-dev/annex/registry/rbac/policy"
)

var (
	alice   = &user.DefaultInfo{Name: "alice"}
	mallory = &user.DefaultInfo{Name: "mallory"}
	server  = &user.DefaultInfo{Name: "system:apiserver", Groups: []string{user.SystemPrivilegedGroup}}
)

// policy allows alice to bind whatever lies in the provider's cluster, whether it exists or not.
type policy struct{ asked []string }

func (p *policy) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	p.asked = append(p.asked, strings.Join([]string{a.GetUser().GetName(), a.GetVerb(), a.GetResource() + "." + a.GetAPIGroup(), a.GetName(), string(cluster)}, " "))
	if a.GetUser().GetName() == "alice" && cluster == "provider" && a.GetVerb() == "bind" && a.GetResource() == "apiexports" {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "a reason that must not be shown", nil
}

type resolver struct{}

func (resolver) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	switch path {
	case "root:org:provider", "provider":
		return "provider", true, nil
	case "broken":
		return "", false, errors.New("etcd is gone")
	}
	return "", false, nil
}

func newChain(t *testing.T) (admission.Interface, *policy) {
	t.Helper()
	export := clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "things"}})
	fake, p := clienttest.NewFake(export), &policy{}
	return admission.NewChainHandler(New(Config{Authorizer: p, Resolver: resolver{}, Cached: clienttest.NewFake(), Live: fake})...), p
}

// admit runs both phases as the handlers do.
func admit(t *testing.T, chain admission.Interface, who user.Info, cluster logicalcluster.Name, resource, subresource string, obj, old runtime.Object) error {
	t.Helper()
	operation := admission.Create
	if old != nil {
		operation = admission.Update
	}
	gvr := schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: resource}
	if resource == "customresourcedefinitions" {
		gvr = apiextensionsv1.SchemeGroupVersion.WithResource(resource)
	}
	name := obj.(metav1.Object).GetName()
	a := admission.NewAttributesRecord(obj, old, schema.GroupVersionKind{Group: gvr.Group, Version: gvr.Version, Kind: "X"}, "", name, gvr, subresource, operation, nil, false, who)
	ctx := logicalcluster.WithCluster(t.Context(), cluster)
	if cluster == "" {
		ctx = logicalcluster.WithWildcard(t.Context())
	}
	if !chain.Handles(operation) {
		return nil
	}
	if err := chain.(admission.MutationInterface).Admit(ctx, a, nil); err != nil {
		return err
	}
	return chain.(admission.ValidationInterface).Validate(ctx, a, nil)
}

var earlierLabel = identity.ExportLabelValue("earlier", "things")

func newBinding(path, export string, change ...func(*apisv1alpha2.APIBinding)) *apisv1alpha2.APIBinding {
	binding := &apisv1alpha2.APIBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "b"},
		Spec: apisv1alpha2.APIBindingSpec{Reference: apisv1alpha2.BindingReference{
			Export: &apisv1alpha2.ExportBindingReference{Path: path, Name: export},
		}},
	}
	for _, c := range change {
		c(binding)
	}
	return binding
}

func withLabel(value string) func(*apisv1alpha2.APIBinding) {
	return func(b *apisv1alpha2.APIBinding) {
		b.Labels = map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: value}
	}
}

var thingsLabel = identity.ExportLabelValue("provider", "things")

func TestBinding_Create(t *testing.T) {
	const denied = `apibindings.apis.kcp.io "b" is forbidden: unable to create APIBinding: no permission to bind to export `
	for name, tc := range map[string]struct {
		who     user.Info
		cluster logicalcluster.Name
		binding *apisv1alpha2.APIBinding
		denied  string // what follows the text above; empty when admitted
		asked   []string
	}{
		"by path":               {who: alice, cluster: "consumer", binding: newBinding("root:org:provider", "things"), asked: []string{"alice bind apiexports.apis.kcp.io things provider"}},
		"by name":               {who: alice, cluster: "consumer", binding: newBinding("provider", "things"), asked: []string{"alice bind apiexports.apis.kcp.io things provider"}},
		"in the same workspace": {who: alice, cluster: "provider", binding: newBinding("", "things"), asked: []string{"alice bind apiexports.apis.kcp.io things provider"}},
		"with the right label":  {who: alice, cluster: "consumer", binding: newBinding("provider", "things", withLabel(thingsLabel)), asked: []string{"alice bind apiexports.apis.kcp.io things provider"}},
		"by the server":         {who: server, cluster: "consumer", binding: newBinding("provider", "things")},
		"without permission": {who: mallory, cluster: "consumer", binding: newBinding("root:org:provider", "things"), denied: "root:org:provider:things",
			asked: []string{"mallory bind apiexports.apis.kcp.io things provider"}},
		"missing export": {who: alice, cluster: "consumer", binding: newBinding("root:org:provider", "missing"), denied: "root:org:provider:missing",
			asked: []string{"alice bind apiexports.apis.kcp.io missing provider"}},
		"missing export, without permission": {who: mallory, cluster: "consumer", binding: newBinding("root:org:provider", "missing"), denied: "root:org:provider:missing",
			asked: []string{"mallory bind apiexports.apis.kcp.io missing provider"}},
		"missing workspace":             {who: alice, cluster: "consumer", binding: newBinding("root:nowhere", "things"), denied: "root:nowhere:things"},
		"missing export, by the server": {who: server, cluster: "consumer", binding: newBinding("provider", "missing"), denied: "provider:missing"},
		"no permission in the same workspace": {who: mallory, cluster: "consumer", binding: newBinding("", "things"), denied: "consumer:things",
			asked: []string{"mallory bind apiexports.apis.kcp.io things consumer"}},
	} {
		t.Run(name, func(t *testing.T) {
			chain, p := newChain(t)
			err := admit(t, chain, tc.who, tc.cluster, "apibindings", "", tc.binding, nil)
			if diff := cmp.Diff(tc.asked, p.asked); diff != "" {
				t.Error(diff)
			}
			if tc.denied != "" {
				if !apierrors.IsForbidden(err) || err.Error() != denied+tc.denied {
					t.Errorf("error = %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tc.binding.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey] != thingsLabel || !slices.Equal(tc.binding.Finalizers, []string{apisv1alpha2.APIBindingFinalizer}) {
				t.Errorf("metadata: %+v", tc.binding.ObjectMeta)
			}
		})
	}
}

// A ServiceAccount that is impersonated comes without the mark of its cluster. Its namesake in the provider's cluster may bind.
func TestBind_ServiceAccountOfAnotherClusterIsNotItsNamesake(t *testing.T) {
	account := &user.DefaultInfo{Name: "system:serviceaccount:default:builder", Groups: []string{"system:serviceaccounts"}}
	export := clienttest.NewFake(clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "things"}}))
	evaluator := rbacpolicy.New(clienttest.NewFake(
		clienttest.In("provider", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "binder"}, Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"bind"}, APIGroups: []string{"apis.kcp.io"}, Resources: []string{"apiexports"}},
		}}),
		clienttest.In("provider", &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "binder"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "binder"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "builder"}},
		}),
	), nil)
	chain := admission.NewChainHandler(New(Config{Authorizer: evaluator, Resolver: resolver{}, Cached: export, Live: export})...)
	for cluster, may := range map[logicalcluster.Name]bool{"provider": true, "consumer": false} {
		err := admit(t, chain, account, cluster, "apibindings", "", newBinding("provider", "things"), nil)
		if may != (err == nil) || (!may && !apierrors.IsForbidden(err)) {
			t.Errorf("binding from %s: %v, want allowed: %t", cluster, err, may)
		}
		slice := &apisv1alpha1.APIExportEndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: "s"},
			Spec:       apisv1alpha1.APIExportEndpointSliceSpec{APIExport: apisv1alpha1.ExportBindingReference{Path: "provider", Name: "things"}},
		}
		err = admit(t, chain, account, cluster, "apiexportendpointslices", "", slice, nil)
		if may != (err == nil) || (!may && !apierrors.IsForbidden(err)) {
			t.Errorf("endpoint slice from %s: %v, want allowed: %t", cluster, err, may)
		}
	}
}

func TestBinding_CreateOtherwiseRefused(t *testing.T) {
	chain, _ := newChain(t)
	if err := admit(t, chain, alice, "consumer", "apibindings", "", newBinding("provider", "things", withLabel("forged")), nil); !apierrors.IsForbidden(err) {
		t.Errorf("a forged label: %v", err)
	}
	if err := admit(t, chain, alice, "consumer", "apibindings", "", newBinding("broken", "things"), nil); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("a lookup that fails: %v", err)
	}
	if err := admit(t, chain, alice, "", "apibindings", "", newBinding("provider", "things"), nil); !apierrors.IsForbidden(err) {
		t.Errorf("no cluster: %v", err)
	}
}

func TestBinding_Update(t *testing.T) {
	stored := func(change ...func(*apisv1alpha2.APIBinding)) *apisv1alpha2.APIBinding {
		b := newBinding("provider", "things", withLabel(thingsLabel))
		b.Finalizers = []string{apisv1alpha2.APIBindingFinalizer, "example.com/mine"}
		for _, c := range change {
			c(b)
		}
		return b
	}
	deleting := func(b *apisv1alpha2.APIBinding) { now := metav1.Now(); b.DeletionTimestamp = &now }
	bare := func(b *apisv1alpha2.APIBinding) { b.Finalizers = []string{"example.com/mine"} }
	chain, p := newChain(t)

	updated := stored(func(b *apisv1alpha2.APIBinding) { b.Labels = nil }, bare)
	if err := admit(t, chain, mallory, "consumer", "apibindings", "", updated, stored()); err != nil {
		t.Fatal(err)
	}
	if updated.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey] != thingsLabel || !slices.Contains(updated.Finalizers, apisv1alpha2.APIBindingFinalizer) {
		t.Errorf("an update lost %+v", updated.ObjectMeta)
	}
	if err := admit(t, chain, alice, "consumer", "apibindings", "", stored(withLabel("forged")), stored()); !apierrors.IsForbidden(err) {
		t.Errorf("a forged label: %v", err)
	}
	if err := admit(t, chain, alice, "consumer", "apibindings", "", stored(deleting, bare), stored(deleting)); !apierrors.IsForbidden(err) {
		t.Errorf("removing the finalizer during deletion: %v", err)
	}
	if err := admit(t, chain, server, "consumer", "apibindings", "", stored(deleting, bare), stored(deleting)); err != nil {
		t.Errorf("the server removes the finalizer: %v", err)
	}
	if err := admit(t, chain, alice, "consumer", "apibindings", "", stored(deleting, func(b *apisv1alpha2.APIBinding) {
		b.Finalizers = []string{apisv1alpha2.APIBindingFinalizer}
	}), stored(deleting)); err != nil {
		t.Errorf("a user removes a finalizer of their own: %v", err)
	}
	if len(p.asked) > 0 {
		t.Errorf("updates ask for permission to bind: %v", p.asked)
	}
}

// Only the server says that the export of a binding has a maximal permission policy, or which resources are leaving, and nobody makes a
// binding forget it.
func TestBinding_KeepsWhatTheServerWrote(t *testing.T) {
	for _, key := range []string{apisv1alpha2.LimitedBindingAnnotationKey, apisv1alpha2.LeavingResourcesAnnotationKey} {
		t.Run(key, func(t *testing.T) { keepsWhatTheServerWrote(t, key) })
	}
}

func keepsWhatTheServerWrote(t *testing.T, key string) {
	with := func(value string) *apisv1alpha2.APIBinding {
		b := newBinding("provider", "things", withLabel(thingsLabel))
		if value != "" {
			b.Annotations = map[string]string{key: value}
		}
		return b
	}
	for name, tc := range map[string]struct {
		who          user.Info
		before, sent string
		created      bool
		want         string
		refused      bool
	}{
		"left out":                 {alice, "local", "", false, "local", false},
		"unchanged":                {alice, "local", "local", false, "local", false},
		"another value":            {alice, "local", "other", false, "", true},
		"added":                    {alice, "", "local", false, "", true},
		"created with it":          {alice, "", "local", true, "", true},
		"created without":          {alice, "", "", true, "", false},
		"removed by the server":    {server, "local", "", false, "", false},
		"added by the server":      {server, "", "local", false, "local", false},
		"created with by a server": {server, "", "local", true, "local", false},
	} {
		t.Run(name, func(t *testing.T) {
			chain, _ := newChain(t)
			sent := with(tc.sent)
			var old runtime.Object
			if !tc.created {
				old = with(tc.before)
			}
			err := admit(t, chain, tc.who, "consumer", "apibindings", "", sent, old)
			if refused := apierrors.IsForbidden(err); refused != tc.refused || !refused && err != nil {
				t.Fatalf("refused: %t, %v", refused, err)
			}
			if got := sent.Annotations[key]; !tc.refused && got != tc.want {
				t.Errorf("annotation %q, want %q", got, tc.want)
			}
		})
	}
}

// Somebody else's workspace is at the path of the provider now. A binding follows it only if a user who may bind says so.
func TestBinding_FollowsANewProviderOnRequestOnly(t *testing.T) {
	accepting := func(cluster string) func(*apisv1alpha2.APIBinding) {
		return func(b *apisv1alpha2.APIBinding) {
			b.Annotations = map[string]string{apisv1alpha2.AcceptProviderAnnotationKey: cluster}
		}
	}
	earlier := withLabel(earlierLabel)
	deniedText := `unable to update APIBinding: no permission to bind to export root:org:provider:things`
	for name, tc := range map[string]struct {
		who     user.Info
		old     *apisv1alpha2.APIBinding
		updated *apisv1alpha2.APIBinding
		want    string // the label; empty if refused
		text    string
	}{
		"labels and annotations": {alice, newBinding("root:org:provider", "things", earlier), newBinding("root:org:provider", "things", earlier, func(b *apisv1alpha2.APIBinding) {
			b.Annotations = map[string]string{"a": "b"}
		}), earlierLabel, ""},
		"accepted":                        {alice, newBinding("root:org:provider", "things", earlier), newBinding("root:org:provider", "things", earlier, accepting("provider")), thingsLabel, ""},
		"accepted, without the label":     {alice, newBinding("root:org:provider", "things", earlier), newBinding("root:org:provider", "things", accepting("provider")), thingsLabel, ""},
		"accepted before":                 {mallory, newBinding("root:org:provider", "things", earlier, accepting("provider")), newBinding("root:org:provider", "things", earlier, accepting("provider")), earlierLabel, ""},
		"without permission":              {mallory, newBinding("root:org:provider", "things", earlier), newBinding("root:org:provider", "things", earlier, accepting("provider")), "", deniedText},
		"another one than it is":          {alice, newBinding("root:org:provider", "things", earlier), newBinding("root:org:provider", "things", earlier, accepting("third")), "", "leads to logical cluster provider"},
		"another one, without permission": {mallory, newBinding("root:org:provider", "things", earlier), newBinding("root:org:provider", "things", earlier, accepting("third")), "", deniedText},
		"a label that was missing":        {alice, newBinding("root:org:provider", "things"), newBinding("root:org:provider", "things", withLabel(thingsLabel)), "", "is set by the server"},
		"the same by the server":          {server, newBinding("root:org:provider", "things"), newBinding("root:org:provider", "things", withLabel(thingsLabel)), thingsLabel, ""},
	} {
		t.Run(name, func(t *testing.T) {
			chain, _ := newChain(t)
			err := admit(t, chain, tc.who, "consumer", "apibindings", "", tc.updated, tc.old)
			if tc.want == "" {
				if err == nil || !strings.Contains(err.Error(), tc.text) {
					t.Errorf("error = %v, want %q", err, tc.text)
				}
				return
			}
			if got := tc.updated.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey]; err != nil || got != tc.want {
				t.Errorf("label %q, error %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestEndpointSlice_Create(t *testing.T) {
	slice := func(path, export string) *apisv1alpha1.APIExportEndpointSlice {
		return &apisv1alpha1.APIExportEndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: "s"},
			Spec:       apisv1alpha1.APIExportEndpointSliceSpec{APIExport: apisv1alpha1.ExportBindingReference{Path: path, Name: export}},
		}
	}
	chain, _ := newChain(t)
	if err := admit(t, chain, alice, "consumer", "apiexportendpointslices", "", slice("provider", "things"), nil); err != nil {
		t.Error(err)
	}
	var texts []string
	for _, refused := range []struct {
		who    user.Info
		object *apisv1alpha1.APIExportEndpointSlice
	}{{mallory, slice("provider", "things")}, {alice, slice("provider", "missing")}, {alice, slice("root:nowhere", "things")}} {
		err := admit(t, chain, refused.who, "consumer", "apiexportendpointslices", "", refused.object, nil)
		if !apierrors.IsForbidden(err) {
			t.Errorf("%s may: %v", refused.who.GetName(), err)
			continue
		}
		texts = append(texts, err.Error()[:strings.LastIndex(err.Error(), " ")])
	}
	if len(slices.Compact(texts)) != 1 {
		t.Errorf("the answers differ: %q", texts)
	}
}

func TestExport_SchemaNames(t *testing.T) {
	chain, _ := newChain(t)
	for name, tc := range map[string]struct {
		resource apisv1alpha2.ResourceSchema
		refused  bool
	}{
		"fitting":          {apisv1alpha2.ResourceSchema{Name: "widgets", Group: "example.com", Schema: "v1.widgets.example.com"}, false},
		"core":             {apisv1alpha2.ResourceSchema{Name: "widgets", Schema: "v1.widgets.core"}, false},
		"another resource": {apisv1alpha2.ResourceSchema{Name: "gadgets", Group: "example.com", Schema: "v1.widgets.example.com"}, true},
		"another group":    {apisv1alpha2.ResourceSchema{Name: "widgets", Group: "other.com", Schema: "v1.widgets.example.com"}, true},
		"core by its name": {apisv1alpha2.ResourceSchema{Name: "widgets", Schema: "v1.widgets."}, true},
	} {
		t.Run(name, func(t *testing.T) {
			export := &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Spec: apisv1alpha2.APIExportSpec{Resources: []apisv1alpha2.ResourceSchema{tc.resource}}}
			for _, old := range []runtime.Object{nil, &apisv1alpha2.APIExport{}} {
				err := admit(t, chain, alice, "consumer", "apiexports", "", export, old)
				if (err != nil) != tc.refused || (tc.refused && !apierrors.IsForbidden(err)) {
					t.Errorf("error = %v", err)
				}
			}
		})
	}
}

func TestReservedGroups(t *testing.T) {
	chain, _ := newChain(t)
	if err := admit(t, chain, alice, "consumer", "customresourcedefinitions", "", &apiextensionsv1.CustomResourceDefinition{}, nil); !apierrors.IsForbidden(err) {
		t.Errorf("a definition of a type whose group nobody reads: %v", err)
	}
	for group, wants := range map[string]map[logicalcluster.Name]bool{ // true: refused
		"example.com":          {"consumer": false, "root": false, "system:admin": false},
		"apis.kcp.io":          {"consumer": true, "root": true, "system:admin": false},
		"internal.apis.kcp.io": {"consumer": true, "root": true, "system:admin": false},
		"tenancy.kcp.io":       {"consumer": true, "root": false, "system:admin": false},
		"topology.kcp.io":      {"consumer": true, "root": false},
		"core.kcp.io":          {"consumer": true, "root": false},
		"myapis.kcp.io":        {"consumer": false},
	} {
		for cluster, refused := range wants {
			for resource, obj := range map[string]runtime.Object{
				"apiresourceschemas":        &apisv1alpha1.APIResourceSchema{Spec: apisv1alpha1.APIResourceSchemaSpec{Group: group}},
				"customresourcedefinitions": &apiextensions.CustomResourceDefinition{Spec: apiextensions.CustomResourceDefinitionSpec{Group: group}},
			} {
				err := admit(t, chain, alice, cluster, resource, "", obj, nil)
				if (err != nil) != refused || (refused && !apierrors.IsForbidden(err)) {
					t.Errorf("%s of %s in %s: %v", resource, group, cluster, err)
				}
				if err := admit(t, chain, server, cluster, resource, "", obj, nil); err != nil {
					t.Errorf("%s of %s in %s by the server: %v", resource, group, cluster, err)
				}
			}
		}
	}
}

func TestOtherResourcesPass(t *testing.T) {
	chain, p := newChain(t)
	for resource, subresource := range map[string]string{"apibindings": "status", "apiexports": "status", "secrets": ""} {
		if err := admit(t, chain, mallory, "consumer", resource, subresource, newBinding("root:nowhere", "things"), nil); err != nil {
			t.Errorf("%s/%s: %v", resource, subresource, err)
		}
	}
	if len(p.asked) > 0 {
		t.Errorf("asked: %v", p.asked)
	}
}

func TestSchema_StaysWhileAnExportOffersIt(t *testing.T) {
	export := clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "things"}})
	export.Spec.Resources = []apisv1alpha2.ResourceSchema{{Name: "widgets", Group: "example.com", Schema: "v2.widgets.example.com"}}
	chain := admission.NewChainHandler(New(Config{Authorizer: &policy{}, Resolver: resolver{}, Cached: clienttest.NewFake(), Live: clienttest.NewFake(export)})...)
	gvr := schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiresourceschemas"}
	for name, tc := range map[string]struct {
		who           user.Info
		cluster       logicalcluster.Name
		schema, named string
		want          string
	}{
		"in use":                {alice, "provider", "v2.widgets.example.com", "v2.widgets.example.com", `in use by APIExport "things"`},
		"in use, one of many":   {alice, "provider", "v2.widgets.example.com", "", `in use by APIExport "things"`},
		"not in use":            {alice, "provider", "v1.widgets.example.com", "v1.widgets.example.com", ""},
		"in use elsewhere":      {alice, "consumer", "v2.widgets.example.com", "v2.widgets.example.com", ""},
		"goes with a workspace": {server, "provider", "v2.widgets.example.com", "v2.widgets.example.com", ""},
		"in no workspace":       {alice, "", "v2.widgets.example.com", "v2.widgets.example.com", "names no workspace"},
	} {
		t.Run(name, func(t *testing.T) {
			old := &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: tc.schema}}
			a := admission.NewAttributesRecord(nil, old, schema.GroupVersionKind{Group: gvr.Group, Version: gvr.Version, Kind: "X"}, "", tc.named, gvr, "", admission.Delete, nil, false, tc.who)
			ctx := logicalcluster.WithCluster(t.Context(), tc.cluster)
			if tc.cluster == "" {
				ctx = logicalcluster.WithWildcard(t.Context())
			}
			err := chain.Validate(ctx, a, nil)
			if (tc.want == "") != (err == nil) || err != nil && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
}
