package logicalcluster

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	cluster "github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/server/admission/request"
)

// checkInheritance returns an error if an update makes a workspace accept again what it inherits, which gives others rights in it, unless the user
// may use the verb inherit on its LogicalCluster. Whoever may update the LogicalCluster may refuse what it inherits. A claim does not count: the
// authorizer is asked, and nobody else.
func (r *rules) checkInheritance(ctx context.Context, name cluster.Name, a admission.Attributes) error {
	if a.GetOperation() != admission.Update || request.IsInternal(a) {
		return nil
	}
	updated, err := meta.Accessor(a.GetObject())
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	old, err := meta.Accessor(a.GetOldObject())
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	if !inheritance.Refuses(old) || inheritance.Refuses(updated) {
		return nil
	}
	resource := a.GetResource()
	decision, _, err := r.authorizer.Authorize(ctx, name, authorizer.AttributesRecord{
		User: a.GetUserInfo(), Verb: inheritance.Verb, APIGroup: resource.Group, APIVersion: resource.Version, Resource: resource.Resource,
		Name: a.GetName(), ResourceRequest: true,
	})
	switch {
	case decision == authorizer.DecisionAllow:
		return nil
	case err != nil:
		return fmt.Errorf("checking who may accept inherited permissions: %w", err)
	}
	return admission.NewForbidden(a, fmt.Errorf("without %s: \"false\", permissions of the workspaces above count here, which takes the verb %q on %s",
		inheritance.AnnotationKey, inheritance.Verb, resource.Resource))
}
