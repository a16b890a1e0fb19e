package sharing

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	rbacpolicy "github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// maxMigrations is how many APIStorageMigrations a workspace may have.
const maxMigrations = 20

// migrationPlugin checks apistoragemigrations. They write objects of consumers, so their author must have permission to update these at the endpoint of
// the APIExport. One of a CustomResourceDefinition changes its status.storedVersions, so the author must have permission to update that.
type migrationPlugin struct {
	*admission.Handler
	exports exports
}

var _ admission.ValidationInterface = &migrationPlugin{}

// Validate implements admission.ValidationInterface. An update can suspend a migration, or have it go on.
func (p *migrationPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	migration, ok := a.GetObject().(*annexv1alpha1.APIStorageMigration)
	if !ok || !request.Is(a, migrations) || request.IsMaster(a) && a.GetOperation() == admission.Update {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	allowed, needs, err := p.may(ctx, a, cluster, migration)
	if err != nil {
		return apistatus.Internal(err)
	}
	if !allowed {
		return admission.NewForbidden(a, fmt.Errorf("a migration writes objects, and the user cannot update %s in this workspace", needs))
	}
	if a.GetOperation() != admission.Create {
		return nil
	}
	all, err := client.List[annexv1alpha1.APIStorageMigration](ctx, p.exports.Live, migrations, client.Scope{Cluster: cluster})
	if err != nil {
		return apistatus.Internal(err)
	}
	if len(all) >= maxMigrations {
		return admission.NewForbidden(a, fmt.Errorf("a workspace can have %d APIStorageMigrations: delete those that are not needed any more", maxMigrations))
	}
	return nil
}

// may reports whether the user of a may have objects rewritten, and what the user must be able to update for that.
func (p *migrationPlugin) may(ctx context.Context, a admission.Attributes, cluster logicalcluster.Name, migration *annexv1alpha1.APIStorageMigration) (allowed bool, needs string, err error) {
	if export := migration.Spec.Export; export != "" {
		allowed, err = p.exports.mayWorkOnContent(ctx, a, cluster, "update", export)
		return allowed, fmt.Sprintf("apiexports/content %q", export), err
	}
	needs = fmt.Sprintf("customresourcedefinitions/status %q", migration.Spec.Resource)
	if rbacpolicy.Warranted(ctx, cluster) || request.IsMaster(a) {
		return request.IsMaster(a), needs, nil
	}
	decision, _, err := p.exports.Authorizer.Authorize(ctx, cluster, authorizer.AttributesRecord{
		User: a.GetUserInfo(), Verb: "update", APIGroup: crds.Group, APIVersion: "v1", Resource: crds.Resource, Subresource: "status",
		Name: migration.Spec.Resource, ResourceRequest: true,
	})
	if decision == authorizer.DecisionAllow {
		return true, needs, nil
	}
	return false, needs, err
}
