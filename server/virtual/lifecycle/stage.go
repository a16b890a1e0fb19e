package lifecycle

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/annex-dev/annex/apis/core/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/head"
)

// stage is what the two virtual workspaces differ in. Its functions take the name of an initializer or a terminator, such as
// 2f8kq1z0c7a9x3bd:team.
type stage struct {
	name string
	// verb is what the caller may do with the WorkspaceType.
	verb string
	// phase is that of clusters that wait.
	phase       corev1alpha1.LogicalClusterPhaseType
	label       func(id string) (key, value string)
	release     func(id string) lifecycle.Release
	permissions func(t *tenancyv1alpha1.WorkspaceType) []rbacv1.PolicyRule
}

var initializing = stage{
	name:  tenancyv1alpha1.InitializingWorkspaces,
	verb:  "initialize",
	phase: corev1alpha1.LogicalClusterPhaseInitializing,
	label: func(id string) (key, value string) {
		return lifecycle.InitializerLabel(corev1alpha1.LogicalClusterInitializer(id))
	},
	release: func(id string) lifecycle.Release {
		return lifecycle.Release{Initializer: corev1alpha1.LogicalClusterInitializer(id)}
	},
	permissions: func(t *tenancyv1alpha1.WorkspaceType) []rbacv1.PolicyRule { return t.Spec.InitializerPermissions },
}

var terminating = stage{
	name:  tenancyv1alpha1.TerminatingWorkspaces,
	verb:  "terminate",
	phase: corev1alpha1.LogicalClusterPhaseTerminating,
	label: func(id string) (key, value string) {
		return lifecycle.TerminatorLabel(corev1alpha1.LogicalClusterTerminator(id))
	},
	release: func(id string) lifecycle.Release {
		return lifecycle.Release{Terminator: corev1alpha1.LogicalClusterTerminator(id)}
	},
	permissions: func(t *tenancyv1alpha1.WorkspaceType) []rbacv1.PolicyRule { return t.Spec.TerminatorPermissions },
}

// waiting shows the LogicalClusters that wait for an initializer or a terminator.
type waiting struct{ selector labels.Selector }

var _ filter.Selecting = waiting{}

// waitingFor returns the filter of what waits for id.
func (s *stage) waitingFor(id string) waiting {
	key, value := s.label(id)
	return waiting{labels.SelectorFromValidatedSet(labels.Set{key: value, tenancyv1alpha1.WorkspacePhaseLabel: string(s.phase)})}
}

// Shows implements filter.Filter.
func (w waiting) Shows(h head.Head) bool { return w.selector.Matches(labels.Set(h.Labels)) }

// Selector implements filter.Selecting.
func (w waiting) Selector() labels.Selector { return w.selector }
