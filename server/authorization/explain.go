package authorization

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	reviews "github.com/annex-dev/annex/registry/authorization"
	"github.com/annex-dev/annex/server/apistatus"
)

// standing is where a user stands who is refused something.
type standing int

const (
	inside  standing = iota // of the workspace, or it is about none
	before                  // of a workspace that is switched off
	outside                 // of a workspace, which may not exist
	nowhere                 // at the URL of the server itself
)

// noWorkspace is for users whose kubeconfig has the URL of the server itself.
const noWorkspace = "the URL of the server names no workspace: add one, such as /clusters/root:team-a"

// explain returns what a user may know about a refusal beyond that it is one, beginning with a colon, or nothing. It names the workspace as the
// client did, and is the same for one that does not exist and one that the user may not enter.
func (c *Authorizer) explain(ctx context.Context, attrs authorizer.Attributes, where standing) string {
	if where == inside || reviews.IsReview(ctx) || !authenticated(attrs.GetUser()) {
		return ""
	}
	workspace := "the workspace"
	if c.Address != nil {
		if address := c.Address(ctx); address != "" {
			workspace = fmt.Sprintf("workspace %q", address)
		}
	}
	why := workspace + " does not exist, or you may not enter it"
	switch where {
	case before:
		why = workspace + " is inactive"
	case nowhere:
		why = noWorkspace
	}
	apistatus.Outside(ctx, apistatus.Refusal{Why: why, Inactive: where == before})
	return ": " + why
}
