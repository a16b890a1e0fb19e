package annextest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

const (
	// accessRole lets a user enter a workspace.
	accessRole = "system:kcp:workspace:access"
	// systemAdmin is the cluster with the ClusterRoles that can be bound in every workspace.
	systemAdmin logicalcluster.Path = "system:admin"
)

// As returns credentials of a user in the workspace, with no rights but those that RBAC gives to the user or the groups. Every name is
// possible: a ServiceAccount of the host cluster is host:serviceaccount:<namespace>:<name>. The user is a member of system:authenticated, too.
// The credentials are valid in all workspaces and at the endpoints of APIExports.
func (w *Workspace) As(user string, groups ...string) *rest.Config {
	config := w.server.at(w.server.master, w.Path)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	return config
}

// User returns credentials of a user who may enter the workspace and has the ClusterRoles there, such as view, edit or cluster-admin.
func (w *Workspace) User(tb testing.TB, name string, clusterRoles ...string) *rest.Config {
	tb.Helper()
	for _, role := range append([]string{accessRole}, clusterRoles...) {
		if err := w.bindRole(tb.Context(), role, name); err != nil {
			tb.Fatalf("giving user %s the ClusterRole %s in workspace %s: %v", name, role, w.Path, err)
		}
	}
	return w.As(name)
}

func (w *Workspace) bindRole(ctx context.Context, role, user string) error {
	here, err := kubernetes.NewForConfig(w.Config())
	if err != nil {
		return err
	}
	everywhere, err := kubernetes.NewForConfig(w.server.at(w.server.master, systemAdmin))
	if err != nil {
		return err
	}
	// Nothing else says that a role does not exist.
	_, err = here.RbacV1().ClusterRoles().Get(ctx, role, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = everywhere.RbacV1().ClusterRoles().Get(ctx, role, metav1.GetOptions{})
	}
	if err != nil {
		return err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: strings.ReplaceAll(fmt.Sprintf("annextest-%s-%s", user, role), "/", "-")},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	_, err = here.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil // User is called again
	}
	return err
}
