package authorization

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/kinds"
)

// systemCRD refuses writes to the status of kinds if the server itself makes decisions with that status.
func systemCRD(_ context.Context, _ logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if !attrs.IsResourceRequest() || attrs.GetSubresource() != "status" || attrs.IsReadOnly() {
		return authorizer.DecisionNoOpinion, "", nil
	}
	if kinds.All.IsStatusByServer(schema.GroupResource{Group: attrs.GetAPIGroup(), Resource: attrs.GetResource()}) {
		return authorizer.DecisionDeny, "only the server writes this status", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}
