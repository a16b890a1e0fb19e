package sharing

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	rbacpolicy "github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// maxReports is how many APIChangeReports a workspace may have.
const maxReports = 20

// reportPlugin checks apichangereports. They name objects of consumers, so their author must have permission to list these at the endpoint of the
// APIExport.
type reportPlugin struct {
	*admission.Handler
	exports exports
}

var _ admission.ValidationInterface = &reportPlugin{}

// Validate implements admission.ValidationInterface. An update can suspend a report, or have it begin again.
func (p *reportPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	report, ok := a.GetObject().(*annexv1alpha1.APIChangeReport)
	if !ok || !request.Is(a, reports) || request.IsMaster(a) && a.GetOperation() == admission.Update {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	allowed, err := p.exports.mayWorkOnContent(ctx, a, cluster, "list", report.Spec.Export)
	if err != nil {
		return apistatus.Internal(err)
	}
	if !allowed {
		return admission.NewForbidden(a, fmt.Errorf("a report lists objects of consumers, and the user cannot list apiexports/content %q in this workspace", report.Spec.Export))
	}
	if a.GetOperation() != admission.Create {
		return nil
	}
	all, err := client.List[annexv1alpha1.APIChangeReport](ctx, p.exports.Live, reports, client.Scope{Cluster: cluster})
	if err != nil {
		return apistatus.Internal(err)
	}
	if len(all) >= maxReports {
		return admission.NewForbidden(a, fmt.Errorf("a workspace can have %d APIChangeReports: delete those that are not needed any more", maxReports))
	}
	return nil
}

// mayWorkOnContent reports whether the user of a may do verb to what the consumers of an APIExport of the same workspace store. A permission claim gives
// no such right.
func (e exports) mayWorkOnContent(ctx context.Context, a admission.Attributes, cluster logicalcluster.Name, verb, export string) (bool, error) {
	if rbacpolicy.Warranted(ctx, cluster) {
		return false, nil
	}
	if request.IsMaster(a) {
		return true, nil
	}
	decision, _, err := e.Authorizer.Authorize(ctx, cluster, authorizer.AttributesRecord{
		User: a.GetUserInfo(), Verb: verb, APIGroup: apisv1alpha2.GroupName, APIVersion: apisv1alpha2.SchemeGroupVersion.Version,
		Resource: apiExports.Resource, Subresource: "content", Name: export, ResourceRequest: true,
	})
	if decision == authorizer.DecisionAllow {
		return true, nil
	}
	return false, err
}
