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

// contentUpdaters lets alice update the content of the export things, and the status of the definition of gears, and do no more.
type contentUpdaters struct{}

func (contentUpdaters) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	content := a.GetResource() == "apiexports" && a.GetSubresource() == "content" && a.GetName() == "things"
	status := a.GetAPIGroup() == "apiextensions.k8s.io" && a.GetResource() == "customresourcedefinitions" && a.GetSubresource() == "status" && a.GetName() == "gears.example.com"
	if cluster == "provider" && a.GetUser().GetName() == "alice" && a.GetVerb() == "update" && (content || status) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func TestMigration_NeedsTheRightToUpdateWhatItWrites(t *testing.T) {
	migration := func(name, export, resource string) *annexv1alpha1.APIStorageMigration {
		return clienttest.In("provider", &annexv1alpha1.APIStorageMigration{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: annexv1alpha1.APIStorageMigrationSpec{Export: export, Resource: resource},
		})
	}
	const gears, widgets = "gears.example.com", "widgets.example.com"
	var many []client.Object
	for i := range maxMigrations {
		many = append(many, migration(fmt.Sprint("m", i), "things", gears))
	}
	for name, tt := range map[string]struct {
		who              user.Info
		export, resource string
		there            []client.Object
		update           bool
		refused          bool
	}{
		"may":                          {who: alice, export: "things", resource: widgets},
		"may not":                      {who: mallory, export: "things", resource: widgets, refused: true},
		"another export":               {who: alice, export: "others", resource: gears, refused: true},
		"a definition":                 {who: alice, resource: gears},
		"a definition, may not":        {who: mallory, resource: gears, refused: true},
		"another definition":           {who: alice, resource: widgets, refused: true},
		"an update":                    {who: alice, export: "things", resource: widgets, update: true, there: many},
		"an update, may not":           {who: mallory, export: "things", resource: widgets, update: true, refused: true},
		"the server":                   {who: server, export: "things", resource: widgets},
		"the server, of a definition":  {who: server, resource: widgets},
		"the server's own update":      {who: server, export: "things", resource: widgets, update: true, there: many},
		"many":                         {who: alice, export: "things", resource: widgets, there: many, refused: true},
		"one less, some of definition": {who: alice, resource: gears, there: many[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			chain := admission.NewChainHandler(New(Config{Authorizer: contentUpdaters{}, Resolver: resolver{}, Cached: clienttest.NewFake(), Live: clienttest.NewFake(tt.there...)})...)
			operation, old := admission.Create, runtime.Object(nil)
			if tt.update {
				operation, old = admission.Update, migration("new", tt.export, tt.resource)
			}
			a := admission.NewAttributesRecord(migration("new", tt.export, tt.resource), old, annexv1alpha1.SchemeGroupVersion.WithKind("APIStorageMigration"), "", "new",
				annexv1alpha1.SchemeGroupVersion.WithResource("apistoragemigrations"), "", operation, nil, false, tt.who)
			err := chain.Validate(logicalcluster.WithCluster(t.Context(), "provider"), a, nil)
			if tt.refused != apierrors.IsForbidden(err) || !tt.refused && err != nil {
				t.Errorf("%v", err)
			}
		})
	}
}
