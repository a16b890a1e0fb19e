package sharing

import (
	"context"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client/clienttest"
)

// grants are lines such as "bind apiexports things provider": verb, resource, name, cluster. All are alice's.
type grants []string

func (g grants) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	line := strings.Join([]string{a.GetVerb(), a.GetResource(), a.GetName(), string(cluster)}, " ")
	if a.GetUser().GetName() == "alice" && slices.Contains(g, line) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "a reason that must not be shown", nil
}

type paths map[logicalcluster.Path]logicalcluster.Name

func (p paths) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, ok := p[path]
	return name, ok, nil
}

func newHostBinding(path string, change ...func(*annexv1alpha1.HostBinding)) *annexv1alpha1.HostBinding {
	b := &annexv1alpha1.HostBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}}
	b.Spec.Reference.Export = &annexv1alpha1.HostBindingExport{Path: "root:provider", Name: "things"}
	b.Spec.Workspace.Path = path
	b.Spec.Authorization = annexv1alpha1.AuthorizationWorkspace
	for _, c := range change {
		c(b)
	}
	return b
}

func making(name string) func(*annexv1alpha1.HostBinding) {
	return func(b *annexv1alpha1.HostBinding) {
		b.Spec.Workspace.Create = &annexv1alpha1.HostBindingCreate{}
		if name != "" {
			b.Spec.Workspace.Create.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: tenancyv1alpha1.WorkspaceTypeName(name), Path: "root"}
		}
	}
}

func decidedByHost(b *annexv1alpha1.HostBinding) {
	b.Spec.Authorization = annexv1alpha1.AuthorizationHost
}

// The label says for which export a HostBinding was accepted. Users change it only by what is checked like a creation.
func TestHostBinding_FollowsANewProviderOnRequestOnly(t *testing.T) {
	labeled := func(label string) func(*annexv1alpha1.HostBinding) {
		return func(b *annexv1alpha1.HostBinding) {
			b.Labels = map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: label}
		}
	}
	accepting := func(cluster string) func(*annexv1alpha1.HostBinding) {
		return func(b *annexv1alpha1.HostBinding) {
			b.Annotations = map[string]string{apisv1alpha2.AcceptProviderAnnotationKey: cluster}
		}
	}
	const path = "root:teams:{namespace}"
	old := newHostBinding(path, labeled(earlierLabel))
	all := grants{"bind apiexports things provider", "project logicalclusters cluster teams"}
	for name, tc := range map[string]struct {
		grants  grants
		updated *annexv1alpha1.HostBinding
		want    string // the label; empty if refused
		text    string
	}{
		"nothing":                      {nil, newHostBinding(path), earlierLabel, ""},
		"a forged label":               {all, newHostBinding(path, labeled(thingsLabel)), "", "is set by the server"},
		"accepted":                     {all, newHostBinding(path, accepting("provider")), thingsLabel, ""},
		"accepted, without permission": {all[1:], newHostBinding(path, accepting("provider")), "", "no permission to bind to export"},
		"another one than it is":       {all, newHostBinding(path, accepting("third")), "", "leads to logical cluster provider"},
		"another spec":                 {all, newHostBinding(path, decidedByHost), thingsLabel, ""},
		"another, without permission":  {all[1:], newHostBinding(path, decidedByHost), "", "no permission to bind to export"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := clienttest.NewFake(clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "things"}}))
			var chain admission.Interface = admission.NewChainHandler(New(Config{
				Authorizer: tc.grants, Cached: fake, Live: fake, Resolver: paths{"root:provider": "provider", "root:teams": "teams"},
			})...)
			a := admission.NewAttributesRecord(tc.updated, old, schema.GroupVersionKind{}, "", "b", annexv1alpha1.SchemeGroupVersion.WithResource("hostbindings"), "", admission.Update, nil, false, alice)
			ctx := logicalcluster.WithCluster(t.Context(), "root")
			err := chain.(admission.MutationInterface).Admit(ctx, a, nil)
			if err == nil {
				err = chain.(admission.ValidationInterface).Validate(ctx, a, nil)
			}
			switch label := labelOf(tc.updated); {
			case tc.want == "" && (err == nil || !strings.Contains(err.Error(), tc.text)):
				t.Errorf("error = %v, want %q", err, tc.text)
			case tc.want != "" && (err != nil || label != tc.want):
				t.Errorf("label %q, error %v, want %q", label, err, tc.want)
			}
		})
	}
}

// Whoever lets the host into workspaces must be let do so by them.
func TestHostBinding_NeedsConsent(t *testing.T) {
	const (
		bind    = "bind apiexports things provider"
		teams   = "project logicalclusters cluster teams"
		payroll = "project logicalclusters cluster payroll"
		create  = "create workspaces  teams"
		use     = "use workspacetypes small root"
	)
	for name, tc := range map[string]struct {
		who     user.Info
		grants  grants
		binding *annexv1alpha1.HostBinding
		old     *annexv1alpha1.HostBinding
		denied  string
	}{
		"all that is needed":              {alice, grants{bind, teams}, newHostBinding("root:teams:{namespace}"), nil, ""},
		"by the server":                   {server, nil, newHostBinding("root:teams:{namespace}"), nil, ""},
		"somebody else":                   {mallory, grants{bind, teams}, newHostBinding("root:teams:{namespace}"), nil, "to bind to export root:provider:things"},
		"without bind":                    {alice, grants{teams}, newHostBinding("root:teams:{namespace}"), nil, "to bind to export root:provider:things"},
		"without the workspaces":          {alice, grants{bind}, newHostBinding("root:teams:{namespace}"), nil, "to let the host into workspace root:teams"},
		"with other workspaces":           {alice, grants{bind, payroll}, newHostBinding("root:teams:{namespace}"), nil, "to let the host into workspace root:teams"},
		"a fixed workspace":               {alice, grants{bind, payroll}, newHostBinding("root:teams:payroll"), nil, ""},
		"its parent's word":               {alice, grants{bind, teams}, newHostBinding("root:teams:payroll"), nil, "to let the host into workspace root:teams:payroll"},
		"a fixed one that is to come":     {alice, grants{bind, teams}, newHostBinding("root:teams:new"), nil, ""},
		"one that is to come, elsewhere":  {alice, grants{bind, payroll}, newHostBinding("root:teams:new"), nil, "to let the host into workspace root:teams:new"},
		"workspaces of nowhere":           {alice, grants{bind, teams}, newHostBinding("root:nowhere:{namespace}"), nil, "to let the host into workspace root:nowhere"},
		"made on demand":                  {alice, grants{bind, teams, create}, newHostBinding("root:teams:{namespace}", making("")), nil, ""},
		"made, without create":            {alice, grants{bind, teams}, newHostBinding("root:teams:{namespace}", making("")), nil, "to create workspaces in root:teams"},
		"made of a type":                  {alice, grants{bind, teams, create, use}, newHostBinding("root:teams:{namespace}", making("small")), nil, ""},
		"made of a type, without use":     {alice, grants{bind, teams, create}, newHostBinding("root:teams:{namespace}", making("small")), nil, "to use workspace type root:small"},
		"other labels":                    {mallory, nil, newHostBinding("root:teams:{namespace}"), newHostBinding("root:teams:{namespace}"), ""},
		"the host's word made enough":     {alice, grants{bind, teams}, newHostBinding("root:teams:{namespace}", decidedByHost), newHostBinding("root:teams:{namespace}"), ""},
		"the same, by somebody else":      {mallory, grants{bind, teams}, newHostBinding("root:teams:{namespace}", decidedByHost), newHostBinding("root:teams:{namespace}"), "to bind to export root:provider:things"},
		"making allowed later":            {alice, grants{bind, teams}, newHostBinding("root:teams:{namespace}", making("")), newHostBinding("root:teams:{namespace}"), "to create workspaces in root:teams"},
		"an export that is not there":     {alice, grants{"bind apiexports nothing provider", teams}, newHostBinding("root:teams:{namespace}", func(b *annexv1alpha1.HostBinding) { b.Spec.Reference.Export.Name = "nothing" }), nil, "to bind to export root:provider:nothing"},
		"an export of the host workspace": {alice, grants{bind, teams}, newHostBinding("root:teams:{namespace}", func(b *annexv1alpha1.HostBinding) { b.Spec.Reference.Export.Path = "" }), nil, "to bind to export root:things"},
	} {
		t.Run(name, func(t *testing.T) {
			export := clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "things"}})
			fake := clienttest.NewFake(export)
			chain := admission.NewChainHandler(New(Config{
				Authorizer: tc.grants, Cached: fake, Live: fake,
				Resolver: paths{"root": "root", "root:provider": "provider", "root:teams": "teams", "root:teams:payroll": "payroll"},
			})...)
			operation := admission.Create
			a := admission.NewAttributesRecord(tc.binding, nil, schema.GroupVersionKind{}, "", "b", annexv1alpha1.SchemeGroupVersion.WithResource("hostbindings"), "", operation, nil, false, tc.who)
			if tc.old != nil {
				operation = admission.Update
				a = admission.NewAttributesRecord(tc.binding, tc.old, schema.GroupVersionKind{}, "", "b", annexv1alpha1.SchemeGroupVersion.WithResource("hostbindings"), "", operation, nil, false, tc.who)
			}
			ctx := logicalcluster.WithCluster(t.Context(), "root")
			err := admission.Interface(chain).(admission.MutationInterface).Admit(ctx, a, nil)
			if err == nil {
				err = admission.Interface(chain).(admission.ValidationInterface).Validate(ctx, a, nil)
			}
			if label := tc.binding.Labels[apisv1alpha2.InternalAPIBindingExportLabelKey]; err == nil && tc.who != mallory && label != thingsLabel {
				t.Errorf("label = %q", label)
			}
			switch {
			case tc.denied == "" && err != nil:
				t.Error(err)
			case tc.denied != "" && (err == nil || !strings.Contains(err.Error(), "is forbidden: unable to write HostBinding: no permission "+tc.denied)):
				t.Errorf("got %v, want refused: %s", err, tc.denied)
			case err != nil && strings.Contains(err.Error(), "must not be shown"):
				t.Error(err)
			}
		})
	}
}
