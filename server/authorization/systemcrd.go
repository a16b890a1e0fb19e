package authorization

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// systemCRD refuses writes to the status of kinds if the server itself makes decisions with that status.
func systemCRD(_ context.Context, _ logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if !attrs.IsResourceRequest() || attrs.GetSubresource() != "status" || attrs.IsReadOnly() {
		return authorizer.DecisionNoOpinion, "", nil
	}
	switch (schema.GroupResource{Group: attrs.GetAPIGroup(), Resource: attrs.GetResource()}) {
	case
		schema.GroupResource{Group: "tenancy.kcp.io", Resource: "workspaces"},
		schema.GroupResource{Group: "core.kcp.io", Resource: "logicalclusters"},
		schema.GroupResource{Group: "apis.kcp.io", Resource: "apibindings"},
		schema.GroupResource{Group: "apis.kcp.io", Resource: "apiexports"},
		schema.GroupResource{Group: "annex.dev", Resource: "hostbindings"}:
		return authorizer.DecisionDeny, "only the server writes this status", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}
