package sharing

import (
	"context"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	rbacpolicy "github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/schemas/publish"
)

// rights are what a user may do in any cluster, each as "verb resource name".
type rights []string

func (r rights) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if cluster == "team" && slices.Contains(r, strings.TrimSpace(a.GetVerb()+" "+a.GetResource()+" "+a.GetName())) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func TestPublish_NeedsTheRightsToWriteWhatIsPublished(t *testing.T) {
	all := rights{"create apiresourceschemas", "delete apiresourceschemas", "create apiexports", "update apiexports widgets.dev"}
	without := func(one string) rights {
		return slices.DeleteFunc(slices.Clone(all), func(r string) bool { return r == one })
	}
	newDefinition := func(change ...func(*apiextensions.CustomResourceDefinition)) *apiextensions.CustomResourceDefinition {
		d := &apiextensions.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com", Annotations: map[string]string{publish.AnnotationKey: "widgets.dev"}},
			Spec:       apiextensions.CustomResourceDefinitionSpec{Group: "example.com"},
		}
		for _, c := range change {
			c(d)
		}
		return d
	}
	unpublished := func(d *apiextensions.CustomResourceDefinition) { d.Annotations = nil }
	changed := func(d *apiextensions.CustomResourceDefinition) { d.Spec.Names.Plural = "things" }
	labeled := func(d *apiextensions.CustomResourceDefinition) { d.Labels = map[string]string{"a": "b"} }
	elsewhere := func(d *apiextensions.CustomResourceDefinition) { d.Annotations[publish.AnnotationKey] = "others.dev" }
	for name, tc := range map[string]struct {
		rights      rights
		who         user.Info
		old, obj    *apiextensions.CustomResourceDefinition
		subresource string
		warranted   bool
		want        string // empty if the request passes
	}{
		"with all rights":                         {rights: all, obj: newDefinition()},
		"without one to create schemas":           {rights: without("create apiresourceschemas"), obj: newDefinition(), want: "cannot create apiresourceschemas.apis.kcp.io"},
		"without one to delete schemas":           {rights: without("delete apiresourceschemas"), obj: newDefinition(), want: "cannot delete apiresourceschemas.apis.kcp.io"},
		"without one to create exports":           {rights: without("create apiexports"), obj: newDefinition(), want: "cannot create apiexports.apis.kcp.io"},
		"without one to update the export":        {rights: without("update apiexports widgets.dev"), obj: newDefinition(), want: "cannot update apiexports.apis.kcp.io"},
		"another export than that of the rights":  {rights: all, obj: newDefinition(elsewhere), want: "cannot update apiexports.apis.kcp.io"},
		"without the annotation":                  {obj: newDefinition(unpublished)},
		"a change of what is published":           {old: newDefinition(), obj: newDefinition(changed), want: "cannot create apiresourceschemas.apis.kcp.io"},
		"a change of where it is published":       {old: newDefinition(), obj: newDefinition(elsewhere), want: "cannot create apiresourceschemas.apis.kcp.io"},
		"a change of what is not published":       {old: newDefinition(unpublished), obj: newDefinition(), want: "cannot create apiresourceschemas.apis.kcp.io"},
		"a change of labels":                      {old: newDefinition(), obj: newDefinition(labeled)},
		"removal of the annotation":               {old: newDefinition(), obj: newDefinition(unpublished)},
		"a change of the status":                  {old: newDefinition(), obj: newDefinition(), subresource: "status"},
		"the server":                              {who: server, obj: newDefinition()},
		"a provider that claims definitions here": {rights: all, obj: newDefinition(), warranted: true, want: "cannot be used by a permission claim"},
		"a value that is no name": {rights: all, obj: newDefinition(func(d *apiextensions.CustomResourceDefinition) {
			d.Annotations[publish.AnnotationKey] = "Widgets!"
		}), want: "metadata.annotations[annex.dev/publish]: Invalid value"},
		"conversion by a URL": {rights: all, obj: newDefinition(func(d *apiextensions.CustomResourceDefinition) {
			url := "https://convert.example.com"
			d.Spec.Conversion = &apiextensions.CustomResourceConversion{
				Strategy: apiextensions.WebhookConverter, WebhookClientConfig: &apiextensions.WebhookClientConfig{URL: &url},
			}
		})},
		"conversion by a service": {rights: all, obj: newDefinition(func(d *apiextensions.CustomResourceDefinition) {
			d.Spec.Conversion = &apiextensions.CustomResourceConversion{Strategy: apiextensions.WebhookConverter}
		}), want: "metadata.annotations[annex.dev/publish]: Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &publishPlugin{Handler: admission.NewHandler(admission.Create, admission.Update), authorizer: tc.rights}
			who := tc.who
			if who == nil {
				who = mallory
			}
			gvr := schema.GroupVersionResource{Group: crds.Group, Version: "v1", Resource: crds.Resource}
			ctx := logicalcluster.WithCluster(t.Context(), "team")
			if tc.warranted {
				ctx = rbacpolicy.WithWarrant(ctx, "team")
			}
			operation := admission.Create
			attrs := admission.NewAttributesRecord(tc.obj, nil, schema.GroupVersionKind{}, "", tc.obj.Name, gvr, tc.subresource, operation, nil, false, who)
			if tc.old != nil {
				attrs = admission.NewAttributesRecord(tc.obj, tc.old, schema.GroupVersionKind{}, "", tc.obj.Name, gvr, tc.subresource, admission.Update, nil, false, who)
			}
			err := p.Validate(ctx, attrs, nil)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err)):
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}
