package authorization

import (
	"context"
	"testing"

	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/virtual"
)

// Whatever is decided about a request, the audit log says so, and why.
func TestAuthorize_EveryDecisionIsRecorded(t *testing.T) {
	in := func(cluster logicalcluster.Name) func(context.Context) context.Context {
		return func(ctx context.Context) context.Context { return logicalcluster.WithCluster(ctx, cluster) }
	}
	endpoint := func(ctx context.Context) context.Context {
		return logicalcluster.WithWildcard(virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: "apiexport", Cluster: "org", Name: "e"}))
	}
	alice, dave := someone("alice"), someone("dave")
	const key = "request.auth.kcp.io/"
	for name, tc := range map[string]struct {
		at    func(context.Context) context.Context
		attrs []authorizer.AttributesRecord
		want  map[string]string
	}{
		"allowed":                {in("org"), []authorizer.AttributesRecord{list(alice, "secrets")}, map[string]string{"decision": "Allowed", "05-local-decision": "Allowed", "04-maxpermissionpolicy-decision": "NoOpinion"}},
		"refused":                {in("org"), []authorizer.AttributesRecord{list(dave, "secrets")}, map[string]string{"decision": "Denied", "reason": "verb access on / is not permitted"}},
		"masters":                {in("org"), []authorizer.AttributesRecord{list(someone("root", user.SystemPrivilegedGroup), "secrets")}, map[string]string{"decision": "Allowed", "reason": "system:masters may do everything"}},
		"a cluster that is none": {logicalcluster.WithUnknown, []authorizer.AttributesRecord{list(alice, "secrets")}, map[string]string{"decision": "Denied", "reason": "the logical cluster does not exist"}},
		"all clusters":           {logicalcluster.WithWildcard, []authorizer.AttributesRecord{list(alice, "secrets")}, map[string]string{"decision": "Denied", "reason": "only system:masters may read all clusters at once"}},
		"a virtual endpoint":     {endpoint, []authorizer.AttributesRecord{list(alice, "secrets")}, map[string]string{"decision": "Denied", "reason": "secret reason"}},
		"an error":               {in("unwell"), []authorizer.AttributesRecord{list(alice, "secrets")}, map[string]string{"decision": "Denied", "reason": `looking up cluster "unwell": broken`}},
		"an impersonation":       {in("org"), []authorizer.AttributesRecord{impersonate(alice, "users", "dave"), list(dave, "secrets")}, map[string]string{"decision": "Denied", "impersonation-decision": ""}},
		"one that is refused":    {in("org"), []authorizer.AttributesRecord{impersonate(alice, "groups", user.SystemPrivilegedGroup)}, map[string]string{"decision": "", "impersonation-decision": "Denied", "impersonation-reason": notPermitted}},
		"a second time": {in("org"), []authorizer.AttributesRecord{get(someone("bob"), "/api"), list(someone("bob"), "secrets"), list(someone("bob"), "secrets")},
			map[string]string{"decision": "Allowed", "again-decision": "NoOpinion", "05-bootstrap-decision": "Allowed", "05-bootstrap-again-decision": "NoOpinion"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := audit.WithAuditContext(tc.at(t.Context()))
			ac := audit.AuditContextFrom(ctx)
			if err := ac.Init(audit.RequestAuditConfig{Level: auditinternal.LevelMetadata}, nil); err != nil {
				t.Fatal(err)
			}
			a := newAuthorizer(t)
			for _, attrs := range tc.attrs {
				_, _, _ = a.Authorize(ctx, attrs)
			}
			for which, want := range tc.want {
				if got, _ := ac.GetEventAnnotation(key + which); got != want {
					t.Errorf("%s is %q, want %q", which, got, want)
				}
			}
		})
	}
}
