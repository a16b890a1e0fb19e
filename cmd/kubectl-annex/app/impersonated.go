package app

import (
	"context"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

// noteImpersonated says why an impersonated user may do less than the user, if the flags impersonate one.
func (c *common) noteImpersonated(ctx context.Context, s *session.Session) error {
	confined, err := confines(ctx, s)
	if user := *c.flags.Impersonate; err == nil && confined && user != "" {
		c.note("an impersonated user inherits no permissions from the workspaces above, except for system:masters: %[1]q may be allowed to enter more. "+
			"'%[2]s why access / --as %[1]s' asks for one workspace.", user, annexPlugin)
	}
	return err
}

// noteInherited says that an impersonated user lacks a permission which the user has.
func (c *common) noteInherited(ctx context.Context, s *session.Session, explanation *annexv1alpha1.AccessExplanation) error {
	user, status := explanation.Spec.User, &explanation.Status
	if user == "" || !status.Allowed || (!allInherited(status.Grants) && !allInherited(status.Entry)) {
		return nil
	}
	confined, err := confines(ctx, s)
	if err == nil && confined {
		c.note("'kubectl --as %s' lacks this permission, except for system:masters: impersonated users inherit nothing.", user)
	}
	return err
}

// confines reports whether a user whom somebody impersonates is one of the workspace only, who inherits nothing. A host impersonates by itself, and
// Annex cannot tell.
func confines(ctx context.Context, s *session.Session) (bool, error) {
	d, err := s.Door(ctx)
	return err == nil && !d.Host, err
}

// allInherited reports whether there are bindings, and all of them are in workspaces above.
func allInherited(grants []annexv1alpha1.AccessGrant) bool {
	for i := range grants {
		if grants[i].Source != annexv1alpha1.AccessSourceInherited {
			return false
		}
	}
	return len(grants) > 0
}
