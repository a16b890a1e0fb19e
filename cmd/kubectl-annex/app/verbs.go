package app

import (
	"slices"
	"strings"

	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/cmd/kubectl-annex/near"
)

// verbs are those that a request for resources can have, or that a server asks about beside the request. The usual ones are first.
var verbs = []string{
	"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "*",
	"access", "approve", "attest", "bind", "escalate", "impersonate", inheritance.Verb, "sign", "use",
	"initialize", "terminate",
}

// warnOfVerb warns of a verb that no rule is likely to be about. Those of constrained impersonation (KEP-5284) end with anything.
func (c *common) warnOfVerb(verb string) {
	if !slices.Contains(verbs, verb) && !strings.HasPrefix(verb, "impersonate:") && !strings.HasPrefix(verb, "impersonate-on:") {
		c.warn("requests for resources do not have the verb %q%s", verb, near.Hint(verb, verbs, ""))
	}
}
