package hostile

import (
	"context"
	"errors"
)

// prepareAddresses looks for a way from one's own workspace to another one, in addresses that no client would write.
func prepareAddresses(ctx context.Context, s *Scene, _ int) (func(context.Context) error, error) {
	own, err := s.newWorkspace(ctx, "addresses", attacker)
	if err != nil {
		return nil, err
	}
	secrets := "/api/v1/namespaces/default/secrets/kept"
	foreign := s.victimPath + secrets
	targets := []string{
		"/clusters/" + foreign, "//clusters/" + foreign, "/clusters//" + foreign, "/%63lusters/" + foreign, "/clusters/" + s.victimPath + "%3a/" + secrets,
		"/CLUSTERS/" + foreign, "/./clusters/" + foreign, "/x/../clusters/" + foreign, "/healthz/../clusters/" + foreign, "/readyz/clusters/" + foreign,
		"/clusters/*" + secrets, "/clusters/%2a" + secrets, "/clusters/" + s.victimPath + ",*" + secrets, "/clusters/root:*" + secrets,
		"/clusters/" + own + "/clusters/" + foreign, "/clusters/" + own + ":" + foreign, "/clusters/" + own + "/services/apiexport/" + s.victimPath + "/a/clusters/*/api",
		"/services/apiexport/" + s.victimPath + "/hidden/clusters/*" + secrets, "/services/apiexport/" + own + "/a/clusters/" + foreign, "/services/apiexport/root/tenancy.kcp.io/clusters/" + foreign,
		"/services/../clusters/" + foreign, "/services/" + foreign, "/services/workspaces/" + foreign, "/services/hostbinding/clusters/" + foreign,
		"/apis/tenancy.kcp.io/v1alpha1/workspaces/" + s.victimPath + "/proxy" + secrets, "/clusters/root/apis/tenancy.kcp.io/v1alpha1/workspaces/" + s.victimPath + "/proxy" + secrets,
		"/clusters/" + own + "/api/v1/namespaces/default/configmaps/kept/../../../../../../" + foreign,
		"https://127.0.0.1/clusters/" + foreign, "http://localhost/clusters/" + foreign, "https://" + attacker + "@127.0.0.1/clusters/" + foreign,
		"/api/v1/namespaces/" + s.victimPath + "/secrets/kept", "/clusters/" + own + "/api/v1/namespaces/" + s.victimPath + ":default/secrets/kept",
	}
	for _, way := range []string{
		"/../", "/%2e%2e/", "/.%2e/", "%2f..%2f", "%2F%2E%2E%2F", "/..%2f", "%2f../", "/../../clusters/", "/..;/", "/;/../", "//", "/./", "\\..\\", "%5c..%5c", "/..%5c", "%00/../",
		"%00", "%0a/../", "%0d%0a", "/%252e%252e/", "%252f..%252f", "/..%c0%af", "/%c0%ae%c0%ae/", "/..%00/", "?/../", "#/../", "@", ":..:", ",", "|", "%20/../", "\t/../",
	} {
		targets = append(targets, "/clusters/"+own+way+foreign, "/clusters/"+own+way+"clusters/"+foreign)
	}
	return func(ctx context.Context) error {
		var faults []error
		for _, target := range targets {
			for _, user := range []string{attacker, stranger, ""} {
				faults = append(faults, s.refuse(ctx, user, "GET "+target+" HTTP/1.1\nUSER\nConnection: close\n\n"))
			}
			faults = append(faults, s.refuse(ctx, attacker, "DELETE "+target+" HTTP/1.1\nUSER\nConnection: close\n\n"))
		}
		return errors.Join(faults...)
	}, nil
}
