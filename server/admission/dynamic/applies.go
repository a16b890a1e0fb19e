package dynamic

import (
	"context"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/inprocess"
)

// Concerns returns the cluster of a request about which webhooks and policies may be asked. They are never asked about
//
//   - themselves, so that a broken one can always be changed and deleted;
//   - reviews, which are questions and store nothing;
//   - what becomes part of a template, which is not one workspace's;
//   - clusters of the server itself.
func Concerns(ctx context.Context, a admission.Attributes) (logicalcluster.Name, bool) {
	if rules.IsExemptAdmissionConfigurationResource(a) || storage.InTemplate(ctx) {
		return "", false
	}
	switch a.GetResource().Group {
	case authenticationv1.GroupName, authorizationv1.GroupName:
		return "", false
	}
	cluster, ok := logicalcluster.FromContext(ctx)
	return cluster, ok && !cluster.IsSystem()
}

// Spared reports whether a is a write of the server itself about which webhooks and policies of the workspace are not asked, if there
// are any:
//
//   - of its own API, by which it runs workspaces;
//   - of a status, with the conditions and finalizers that go with it. The server writes all of that at once, through no subresource. A
//     rule for the resource does not mean it: in Kubernetes, controllers write it through the subresource;
//   - in a workspace that is being deleted;
//   - of the objects of a resource that a consumer is about to give up: the provider cannot keep it from leaving.
func (s *Seen) Spared(a admission.Attributes, by Decider) (bool, error) {
	if !Own(a) {
		return false, nil
	}
	if by.Foreign && by.Leaving {
		return true, nil
	}
	gr := a.GetResource().GroupResource()
	own := kinds.All.Row(gr) != nil && (strings.HasSuffix(gr.Group, ".kcp.io") || gr.Group == annexv1alpha1.GroupName)
	if own || a.GetOperation() == admission.Update && kinds.All.HasStatus(gr) {
		return true, nil
	}
	lc, err := client.Find[corev1alpha1.LogicalCluster](s.ctx, s.Cached, corev1alpha1.Resource("logicalclusters"),
		client.Key{Cluster: s.cluster, Name: corev1alpha1.LogicalClusterName})
	return lc != nil && lc.DeletionTimestamp != nil, err
}

// Own reports whether the server itself writes. Who impersonates its name is not in its group.
func Own(a admission.Attributes) bool {
	return a.GetUserInfo().GetName() == inprocess.UserName && request.IsMaster(a)
}
