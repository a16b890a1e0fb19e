package sharing

import (
	"context"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

// listers may list the content of one export of the provider.
type listers struct{ export string }

func (l listers) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if cluster == "provider" && a.GetUser().GetName() == "alice" && a.GetVerb() == "list" && a.GetResource() == "apiexports" && a.GetSubresource() == "content" && a.GetName() == l.export {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func TestReport_NeedsTheRightToListTheContentOfTheExport(t *testing.T) {
	report := func(name, export string) *annexv1alpha1.APIChangeReport {
		return clienttest.In("provider", &annexv1alpha1.APIChangeReport{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: annexv1alpha1.APIChangeReportSpec{Export: export}})
	}
	var many []client.Object
	for i := range maxReports {
		many = append(many, report(fmt.Sprint("r", i), "things"))
	}
	for name, tt := range map[string]struct {
		who     user.Info
		export  string
		there   []client.Object
		update  bool
		refused bool
	}{
		"may":                     {who: alice, export: "things"},
		"may not":                 {who: mallory, export: "things", refused: true},
		"another export":          {who: alice, export: "others", refused: true},
		"an update":               {who: alice, export: "things", update: true, there: many},
		"an update, may not":      {who: mallory, export: "things", update: true, refused: true},
		"the server":              {who: server, export: "things"},
		"the server's own update": {who: server, export: "things", update: true, there: many},
		"many":                    {who: alice, export: "things", there: many, refused: true},
		"one less":                {who: alice, export: "things", there: many[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			chain := admission.NewChainHandler(New(Config{Authorizer: listers{"things"}, Resolver: resolver{}, Cached: clienttest.NewFake(), Live: clienttest.NewFake(tt.there...)})...)
			operation, old := admission.Create, runtime.Object(nil)
			if tt.update {
				operation, old = admission.Update, report("new", tt.export)
			}
			a := admission.NewAttributesRecord(report("new", tt.export), old, annexv1alpha1.SchemeGroupVersion.WithKind("APIChangeReport"), "", "new",
				annexv1alpha1.SchemeGroupVersion.WithResource("apichangereports"), "", operation, nil, false, tt.who)
			err := chain.Validate(logicalcluster.WithCluster(t.Context(), "provider"), a, nil)
			if tt.refused != apierrors.IsForbidden(err) || !tt.refused && err != nil {
				t.Errorf("%v", err)
			}
		})
	}
}
