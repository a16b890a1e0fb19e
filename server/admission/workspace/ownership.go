package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/tree"
	"github.com/annex-dev/annex/server/inprocess"
)

// OwnershipName is the name of the plugin that NewOwnership returns.
const OwnershipName = "tenancy.kcp.io/Workspace"

// reserved are the annotations of a Workspace that only the system writes.
var reserved = []string{
	tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey,
	tenancyv1alpha1.WorkspaceShardHashAnnotationKey,
	tenancyv1alpha1.WorkspaceClusterAnnotationKey,
	corev1alpha1.LogicalClusterShardAnnotationKey,
	corev1alpha1.RequiredGroupsAnnotationKey,
	annexv1alpha1.ClaimRefAnnotationKey,
	annexv1alpha1.DeleteAfterAnnotationKey,
	annexv1alpha1.HostBindingAnnotationKey,
}

var errPrivileged = errors.New("can only be changed by system privileged users")

type ownership struct {
	*admission.Handler
	tree *tree.Tree
	urls func(parent logicalcluster.Name, name string) string
}

var _ admission.MutationInterface = &ownership{}

// NewOwnership returns the plugin. urls returns the address that users see for a Workspace called name in
// the cluster parent.
func NewOwnership(t *tree.Tree, urls func(parent logicalcluster.Name, name string) string) admission.Interface {
	return &ownership{Handler: admission.NewHandler(admission.Create, admission.Update), tree: t, urls: urls}
}

// Admit implements admission.MutationInterface. It also refuses fields that users may not set. It does so here because
// the strategy, which runs before validating admission, drops the URL.
func (o *ownership) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	ws, ok := a.GetObject().(*tenancyv1alpha1.Workspace)
	if !ok || !request.Is(a, tree.Workspaces) {
		return nil
	}
	if request.IsMaster(a) {
		return o.onDemand(ctx, a, ws)
	}
	if err := o.checkPlace(ctx, a, ws); err != nil {
		return err
	}
	annotations := maps.Clone(ws.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	if old, ok := a.GetOldObject().(*tenancyv1alpha1.Workspace); ok && a.GetOperation() == admission.Update {
		for _, key := range reserved {
			carry(annotations, key, old.Annotations[key])
		}
		ws.Annotations = annotations
		return nil
	}

	parent, err := o.parent(ctx, a)
	if err != nil {
		return err
	}
	owner, err := json.Marshal(request.Creator(a.GetUserInfo(), logicalcluster.From(parent)))
	if err != nil {
		return fmt.Errorf("recording the owner: %w", err)
	}
	for _, key := range reserved {
		delete(annotations, key)
	}
	annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey] = string(owner)
	carry(annotations, corev1alpha1.RequiredGroupsAnnotationKey, parent.Annotations[corev1alpha1.RequiredGroupsAnnotationKey])
	ws.Annotations = annotations
	return nil
}

// onDemand hands the required groups of the parent down to a Workspace that the server itself creates for somebody, such as for a
// WorkspaceClaim or for a HostBinding. Otherwise that workspace would let in whom its parent keeps out. Other members of system:masters may
// leave the groups out.
func (o *ownership) onDemand(ctx context.Context, a admission.Attributes, ws *tenancyv1alpha1.Workspace) error {
	if a.GetOperation() != admission.Create || a.GetUserInfo().GetName() != inprocess.UserName {
		return nil
	}
	parent, err := o.parent(ctx, a)
	if err != nil {
		return err
	}
	groups := parent.Annotations[corev1alpha1.RequiredGroupsAnnotationKey]
	if groups == "" {
		return nil
	}
	annotations := maps.Clone(ws.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[corev1alpha1.RequiredGroupsAnnotationKey] = groups
	ws.Annotations = annotations
	return nil
}

// parent returns the LogicalCluster that a Workspace is created in.
func (o *ownership) parent(ctx context.Context, a admission.Attributes) (*corev1alpha1.LogicalCluster, error) {
	return parent(ctx, o.tree, a)
}

func parent(ctx context.Context, t *tree.Tree, a admission.Attributes) (*corev1alpha1.LogicalCluster, error) {
	cluster, err := request.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	lc, err := t.LogicalCluster(ctx, cluster)
	if apierrors.IsNotFound(err) {
		return nil, admission.NewForbidden(a, errors.New("workspaces cannot be created in a logical cluster without a LogicalCluster object"))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the LogicalCluster of %s: %w", cluster, err)
	}
	return lc, nil
}

func carry(annotations map[string]string, key, value string) {
	if value == "" {
		delete(annotations, key)
		return
	}
	annotations[key] = value
}

// checkPlace refuses changes of the workspace's cluster and URL.
func (o *ownership) checkPlace(ctx context.Context, a admission.Attributes, ws *tenancyv1alpha1.Workspace) error {
	cluster, err := request.Cluster(ctx)
	if err != nil {
		return err
	}
	old, ok := a.GetOldObject().(*tenancyv1alpha1.Workspace)
	if !ok {
		old = &tenancyv1alpha1.Workspace{}
	}
	if ws.Spec.Cluster != old.Spec.Cluster {
		return admission.NewForbidden(a, fmt.Errorf("spec.cluster %w", errPrivileged))
	}
	if old.Spec.Mount != nil {
		if ws.Spec.URL != "" && ws.Spec.URL != old.Spec.URL {
			return admission.NewForbidden(a, fmt.Errorf("spec.URL %w", errPrivileged))
		}
		return nil
	}
	// The stored object has no URL. The server computes it on each read, and clients send it back.
	shown := old.Spec.Cluster != "" && ws.Spec.URL == o.urls(cluster, ws.Name)
	if ws.Spec.URL != "" && !shown {
		return admission.NewForbidden(a, fmt.Errorf("spec.URL %w", errPrivileged))
	}
	return nil
}
