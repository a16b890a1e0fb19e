package kubeconfig

import (
	"context"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/door"
)

// The flag that sets Options.CopyAdministrator, in all commands that make kubeconfigs.
const (
	CopyAdministratorFlag  = "copy-administrator-credentials"
	CopyAdministratorUsage = "Copy a token or a certificate even if it is that of an administrator."
)

// administrators are the groups whose static credentials are not copied unless a user says so. In the last one is who sets up a cluster with kubeadm.
var administrators = []string{user.SystemPrivilegedGroup, "system:kcp:admin", "kubeadm:cluster-admins"}

// isStatic reports whether whoever has a copy of the credentials can use them.
func isStatic(u *clientcmdapi.AuthInfo) bool {
	return u.Token != "" || u.ClientKey != "" || len(u.ClientKeyData) > 0 || u.Password != "" || (u.Exec == nil && u.TokenFile == "")
}

// refuseAdministrator returns an error if the credentials of source are static, and those of an administrator of Annex, or of the host. It does
// so, too, if it cannot find out. cluster is the server of the new context, and d the route there.
func refuseAdministrator(ctx context.Context, source *Source, cluster *clientcmdapi.Cluster, d door.Door) error {
	if !isStatic(source.User) {
		return nil
	}
	own := *source
	own.User = source.User.DeepCopy()
	// Whoever has the file can leave out that it acts for somebody else.
	own.User.Impersonate, own.User.ImpersonateUID, own.User.ImpersonateGroups, own.User.ImpersonateUserExtra = "", "", nil, nil
	if err := refuseAt(ctx, &own, cluster, identities(d)...); err != nil {
		return err
	}
	// With --server, the credentials are also those of somebody at the server that they are from.
	from, found, err := door.Parse(source.Cluster.Server)
	switch {
	case err != nil:
		return err
	case from.Base == d.Base:
		return nil
	case found && !from.Host:
		return refuseAt(ctx, &own, source.Cluster, from.WorkspaceURL(logicalcluster.Root.Path()))
	}
	return refuseAt(ctx, &own, source.Cluster, from.Base)
}

// identities returns the URLs at which a user may be an administrator.
func identities(d door.Door) []string {
	urls := []string{d.WorkspaceURL(logicalcluster.Root.Path())}
	if d.Host {
		urls = append(urls, d.Base) // Annex does not see who is an administrator of the host
	}
	return urls
}

// refuseAt returns an error if the user of source is an administrator at one of the URLs of a cluster.
func refuseAt(ctx context.Context, source *Source, cluster *clientcmdapi.Cluster, urls ...string) error {
	for _, url := range urls {
		at := cluster.DeepCopy()
		at.Server = url
		config, err := source.config(at)
		if err != nil {
			return err
		}
		config.WarningHandler = rest.NoWarnings{}
		review, err := ReviewSelf(ctx, config)
		switch {
		case apierrors.IsForbidden(err):
			continue // an administrator may ask everywhere
		case err != nil:
			return fmt.Errorf("finding out whether these are the credentials of an administrator, which are not copied unless you set --%s: %w", CopyAdministratorFlag, err)
		}
		who := review.Status.UserInfo
		for _, group := range who.Groups {
			if slices.Contains(administrators, group) {
				return fmt.Errorf("the context has the credentials of an administrator (%q in the group %q), which give full access to whoever has the file: "+
					"use another context, or set --%s", who.Username, group, CopyAdministratorFlag)
			}
		}
	}
	return nil
}

// ReviewSelf asks a server who the user of config is.
func ReviewSelf(ctx context.Context, config *rest.Config) (*authenticationv1.SelfSubjectReview, error) {
	client, err := authenticationclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	review, err := client.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking who you are: %w", err)
	}
	return review, nil
}
