package home

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/apis/core/clustername"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/registry/tenancy"
	"github.com/annex-dev/annex/server/authentication"
)

const (
	// patience is how long a home workspace may take to become Ready until that is an error of the server.
	patience = time.Minute
	// makeTimeout is how long it may take to create one.
	makeTimeout = 10 * time.Second
)

var (
	workspaces      = tenancyv1alpha1.Resource("workspaces")
	logicalClusters = corev1alpha1.Resource("logicalclusters")
)

// Maker creates home workspaces. controllers/workspace has the only one.
type Maker interface {
	// Make returns the LogicalCluster of the home workspace of owner, which it creates if there is none.
	Make(ctx context.Context, owner *authenticationv1.UserInfo) (*corev1alpha1.LogicalCluster, error)
}

// Authorizer decides by the RBAC of one cluster; registry/rbac/policy.Evaluator is one.
type Authorizer interface {
	Authorize(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error)
}

// Config is what Homes needs. Everything is required except Clock.
type Config struct {
	Cached, Live client.Reader
	Authorizer   Authorizer
	Maker        Maker
	// External returns the address of the server as users see it, without a slash at the end.
	External func() string
	// Clock is the real clock if nil.
	Clock clock.PassiveClock
}

// Homes finds and makes home workspaces. It is safe for concurrent use.
type Homes struct{ Config }

var _ tenancy.Homes = &Homes{}

// New returns Homes.
func New(c Config) *Homes {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	return &Homes{c}
}

// Home implements tenancy.Homes: it returns the home workspace of the user of the request. It returns Forbidden if the user may have none,
// and TooManyRequests until it is Ready.
func (h *Homes) Home(ctx context.Context) (*tenancyv1alpha1.Workspace, error) {
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewInternalError(errors.New("the request has no user"))
	}
	if err := mayHave(u); err != nil {
		return nil, forbidden(err)
	}
	key := client.Key{Cluster: clustername.Home(u.GetName()), Name: corev1alpha1.LogicalClusterName}
	lc, err := client.FindNow[corev1alpha1.LogicalCluster](ctx, h.Cached, h.Live, logicalClusters, key)
	if err == nil && lc == nil {
		lc, err = h.make(ctx, u)
	}
	if err != nil {
		return nil, err
	}
	if by := lc.Spec.CreatedBy; lc.Spec.Owner != nil || by == nil || by.Username != u.GetName() {
		return nil, forbidden(errors.New("another workspace already has the name that yours would have"))
	}
	return h.show(lc)
}

// mayHave returns why u cannot have a home workspace, whatever RBAC says.
func mayHave(u user.Info) error {
	name := u.GetName()
	switch {
	case name == "" || strings.HasPrefix(name, "system:") || authentication.ReservedUser(name):
		return errors.New("users of the system and ServiceAccounts have no home workspace")
	case !policy.InScope(u, logicalcluster.Root):
		return errors.New("a user of another workspace has no home workspace")
	}
	return nil
}

func forbidden(why error) error { return apierrors.NewForbidden(workspaces, tenancy.HomeName, why) }

// make creates the home workspace of u, who needs permission.
func (h *Homes) make(ctx context.Context, u user.Info) (*corev1alpha1.LogicalCluster, error) {
	decision, _, err := h.Authorizer.Authorize(ctx, logicalcluster.Root, authorizer.AttributesRecord{
		User: u, Verb: "create", APIGroup: tenancyv1alpha1.GroupName, APIVersion: tenancyv1alpha1.SchemeGroupVersion.Version,
		Resource: workspaces.Resource, Name: tenancy.HomeName, ResourceRequest: true,
	})
	switch {
	case decision == authorizer.DecisionAllow:
	case err != nil:
		return nil, fmt.Errorf("asking whether %q may have a home workspace: %w", u.GetName(), err)
	default:
		return nil, forbidden(errors.New("you have no home workspace, and are not allowed to create one"))
	}
	// What the context of the request says of root is not for the new cluster.
	fresh, cancel := context.WithTimeout(klog.NewContext(context.Background(), klog.FromContext(ctx)), makeTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	lc, err := h.Maker.Make(fresh, userInfo(u))
	if err != nil {
		klog.FromContext(ctx).Error(err, "A home workspace cannot be created", "user", u.GetName())
		unavailable := apierrors.NewServiceUnavailable("the home workspace cannot be created right now, try again")
		unavailable.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
		return nil, unavailable
	}
	return lc, nil
}

// show returns the Workspace that stands for lc.
func (h *Homes) show(lc *corev1alpha1.LogicalCluster) (*tenancyv1alpha1.Workspace, error) {
	switch lc.Status.Phase {
	case corev1alpha1.LogicalClusterPhaseScheduling, corev1alpha1.LogicalClusterPhaseInitializing:
		if h.Clock.Since(lc.CreationTimestamp.Time) > patience {
			return nil, apierrors.NewInternalError(fmt.Errorf("the home workspace is not ready after %s", patience))
		}
		return nil, apierrors.NewTooManyRequests("the home workspace is being created, try again", 1)
	}
	cluster := logicalcluster.From(lc)
	ws := &tenancyv1alpha1.Workspace{
		ObjectMeta: metav1.ObjectMeta{
			Name: lc.Name, UID: lc.UID, ResourceVersion: lc.ResourceVersion, Generation: lc.Generation,
			CreationTimestamp: lc.CreationTimestamp, DeletionTimestamp: lc.DeletionTimestamp,
			Labels: map[string]string{tenancyv1alpha1.WorkspacePhaseLabel: string(lc.Status.Phase)},
			Annotations: map[string]string{
				logicalcluster.AnnotationKey:     cluster.String(),
				logicalcluster.PathAnnotationKey: lc.Annotations[logicalcluster.PathAnnotationKey],
			},
		},
		Spec: tenancyv1alpha1.WorkspaceSpec{
			Type:    &tenancyv1alpha1.WorkspaceTypeReference{Name: tenancyv1alpha1.HomeWorkspaceTypeName, Path: logicalcluster.Root.String()},
			Cluster: cluster.String(),
			URL:     h.External() + "/clusters/" + cluster.String(),
		},
		Status: tenancyv1alpha1.WorkspaceStatus{
			Phase: lc.Status.Phase, Conditions: lc.Status.DeepCopy().Conditions, Initializers: lc.Status.Initializers, Terminators: lc.Status.Terminators,
		},
	}
	return ws, nil
}

func userInfo(u user.Info) *authenticationv1.UserInfo {
	info := &authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()}
	for k, v := range policy.WithoutWarrants(u.GetExtra()) {
		if info.Extra == nil {
			info.Extra = map[string]authenticationv1.ExtraValue{}
		}
		info.Extra[k] = v
	}
	return info
}
