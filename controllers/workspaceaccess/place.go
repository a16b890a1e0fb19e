package workspaceaccess

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/hostnamespace"
)

// errNoHost says that the Secret belongs on a host that there is no longer.
var errNoHost = errors.New("the server has no kubeconfig for the host")

// place is where the Secret of a WorkspaceAccess is.
type place interface {
	// gone reports whether the namespace of access is gone.
	gone(ctx context.Context, access *annexv1alpha1.WorkspaceAccess) (bool, error)
	// find returns a Secret; nil if there is none.
	find(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	create(ctx context.Context, secret *corev1.Secret) error
	update(ctx context.Context, secret *corev1.Secret) error
	// remove deletes a Secret that find has returned. It is no error if it is gone.
	remove(ctx context.Context, secret *corev1.Secret) error
}

// placeOf returns where the Secret of access is. Only objects in the host workspace that belong to a namespace of the host have it there.
func (r *reconciler) placeOf(ctx context.Context, key client.Key, access *annexv1alpha1.WorkspaceAccess) (place, error) {
	on, err := r.inHost(ctx, key, access)
	if err != nil {
		return nil, err
	}
	switch {
	case !on && hostnamespace.Of(access) != "":
		return nowhere{}, nil // the host shows another workspace now
	case !on:
		return &inWorkspace{r, key.Cluster}, nil
	case r.Host == nil:
		return nowhere{}, nil
	}
	return &onHost{r.Host}, nil
}

// inWorkspace is the workspace of the WorkspaceAccess.
type inWorkspace struct {
	r       *reconciler
	cluster logicalcluster.Name
}

func (p *inWorkspace) gone(context.Context, *annexv1alpha1.WorkspaceAccess) (bool, error) {
	return false, nil // the namespace takes the object with it
}

func (p *inWorkspace) find(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return client.FindNow[corev1.Secret](ctx, p.r.Client, p.r.Live, secrets, client.Key{Cluster: p.cluster, Namespace: namespace, Name: name})
}

func (p *inWorkspace) create(ctx context.Context, secret *corev1.Secret) error {
	_, err := p.r.Client.Create(ctx, secrets, p.cluster, secret)
	return err
}

func (p *inWorkspace) update(ctx context.Context, secret *corev1.Secret) error {
	_, err := p.r.Client.Update(ctx, secrets, p.cluster, secret)
	return err
}

func (p *inWorkspace) remove(ctx context.Context, secret *corev1.Secret) error {
	key := client.Key{Cluster: p.cluster, Namespace: secret.Namespace, Name: secret.Name}
	return ignoreNotFound(p.r.Client.Delete(ctx, secrets, key, &metav1.Preconditions{UID: &secret.UID}))
}

// onHost is the host.
type onHost struct{ host Host }

func (p *onHost) gone(ctx context.Context, access *annexv1alpha1.WorkspaceAccess) (bool, error) {
	return hostnamespace.Gone(ctx, p.host, access)
}

func (p *onHost) find(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret, err := p.host.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // there is none
	}
	return secret, err
}

func (p *onHost) create(ctx context.Context, secret *corev1.Secret) error {
	_, err := p.host.Secrets(secret.Namespace).Create(ctx, secret, metav1.CreateOptions{FieldManager: manager})
	return err
}

func (p *onHost) update(ctx context.Context, secret *corev1.Secret) error {
	_, err := p.host.Secrets(secret.Namespace).Update(ctx, secret, metav1.UpdateOptions{FieldManager: manager})
	return err
}

func (p *onHost) remove(ctx context.Context, secret *corev1.Secret) error {
	return ignoreNotFound(p.host.Secrets(secret.Namespace).Delete(ctx, secret.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &secret.UID}}))
}

// manager is the field manager of what is written on the host.
const manager = "annex"

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// nowhere stands for a host that there is no longer.
type nowhere struct{}

func (nowhere) gone(context.Context, *annexv1alpha1.WorkspaceAccess) (bool, error) {
	return false, errNoHost
}

func (nowhere) find(context.Context, string, string) (*corev1.Secret, error) { return nil, errNoHost }

func (nowhere) create(context.Context, *corev1.Secret) error { return errNoHost }

func (nowhere) update(context.Context, *corev1.Secret) error { return errNoHost }

func (nowhere) remove(context.Context, *corev1.Secret) error { return errNoHost }

// unwritable returns the reason and the message of the condition for an error of a place; empty if it is none to show.
func unwritable(at place, err error) (reason, message string) {
	_, host := at.(*onHost)
	switch {
	case errors.Is(err, errNoHost):
		return annexv1alpha1.NotManagedReason, err.Error()
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return "", ""
	case apierrors.IsForbidden(err) && host:
		return annexv1alpha1.ForbiddenReason, fmt.Sprintf("an administrator of the host must let the server write Secrets in this namespace (workspaceAccess in the values of the chart): %v", err)
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err):
		return annexv1alpha1.ForbiddenReason, err.Error()
	}
	return annexv1alpha1.HostUnavailableReason, "the Secret cannot be read or written right now, trying again"
}
