package workspace

import (
	"encoding/json"
	"fmt"
	"maps"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// AdminBindingName is the name of the ClusterRoleBinding that makes the creator of a workspace its administrator.
const AdminBindingName = "workspace-admin"

// defaultNamespaces are in every workspace from the beginning.
var defaultNamespaces = []string{metav1.NamespaceDefault, metav1.NamespaceSystem}

// creator returns the user who created ws; nil if the system created it, because it is then not recorded.
func creator(ws *tenancyv1alpha1.Workspace) (*authenticationv1.UserInfo, error) {
	note := ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey]
	if note == "" {
		return nil, nil
	}
	var user authenticationv1.UserInfo
	if err := json.Unmarshal([]byte(note), &user); err != nil {
		return nil, fmt.Errorf("reading annotation %s: %w", tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey, err)
	}
	if user.Username == "" {
		return nil, nil
	}
	return &user, nil
}

// shortNote returns the part of the creator that stays in the annotation after the workspace is scheduled.
func shortNote(user *authenticationv1.UserInfo) (string, error) {
	note, err := json.Marshal(map[string]string{"username": user.Username})
	if err != nil {
		return "", fmt.Errorf("recording the owner: %w", err)
	}
	return string(note), nil
}

// newLogicalCluster returns the LogicalCluster of ws in its final state, except the status.
func newLogicalCluster(ws *tenancyv1alpha1.Workspace, p plan) (*corev1alpha1.LogicalCluster, error) {
	annotations := map[string]string{
		logicalcluster.PathAnnotationKey:              p.path.String(),
		corev1alpha1.LogicalClusterShardAnnotationKey: p.shard.Name,
	}
	if ofTypes := limits.OfTypes(p.types); ofTypes.Any() {
		annotations[corev1alpha1.TypeLimitsAnnotationKey] = limits.Amount(ofTypes).String()
	}
	if clusters := typeresolution.RecordedClusters(p.types); clusters != "" {
		annotations[corev1alpha1.TypeClustersAnnotationKey] = clusters
	}
	if inheritance.RefusedBy(p.types) {
		annotations[inheritance.AnnotationKey] = "false"
	}
	if ref := ws.Spec.Type; ref != nil {
		annotations[corev1alpha1.LogicalClusterTypeAnnotationKey] = logicalcluster.Path(ref.Path).Join(string(ref.Name)).String()
	}
	if groups := ws.Annotations[corev1alpha1.RequiredGroupsAnnotationKey]; groups != "" {
		annotations[corev1alpha1.RequiredGroupsAnnotationKey] = groups
	}
	if p.creator != nil {
		note, err := shortNote(p.creator)
		if err != nil {
			return nil, err
		}
		annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey] = note
	}
	return &corev1alpha1.LogicalCluster{
		ObjectMeta: metav1.ObjectMeta{
			Name:        corev1alpha1.LogicalClusterName,
			Annotations: annotations,
			Finalizers:  []string{corev1alpha1.LogicalClusterDeletionFinalizer},
		},
		Spec: corev1alpha1.LogicalClusterSpec{
			Owner: &corev1alpha1.LogicalClusterOwner{
				APIVersion: tenancyv1alpha1.SchemeGroupVersion.String(),
				Resource:   workspaces.Resource,
				Name:       ws.Name,
				Cluster:    logicalcluster.From(ws).String(),
				UID:        ws.UID,
			},
			CreatedBy:    p.creator,
			Initializers: typeresolution.Initializers(p.types),
			Terminators:  typeresolution.Terminators(p.types),
		},
	}, nil
}

// newAdminBinding returns the ClusterRoleBinding that lets username do everything in the workspace.
func newAdminBinding(username string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: AdminBindingName},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: username}},
	}
}

func newNamespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// annotate sets an annotation of obj without changing a map that may be shared.
func annotate(obj client.Object, key, value string) {
	annotations := maps.Clone(obj.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	obj.SetAnnotations(annotations)
}
